"""GET /api/customers/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT
from orders.needles import email_filters
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, EmailFilter, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()

SELECT = "SELECT id, customer_json(c)::text FROM customers AS c WHERE id < :before"
FILTERS = {"email": " AND lower(email) LIKE :email", "needle": " AND strpos(lower(email), :needle) > 0"}
NEWEST_FIRST = " ORDER BY id DESC LIMIT :rows"


@app.endpoint("GET", "/api/customers", scopes=["customers/read"], returns={200: "CustomerPage"}, tag="Customers")
def list_customers(request: Request, email: EmailFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List customers, newest first."""
    [before] = page_start(request, cursor, [MAX_BIGINT])
    filters = email_filters(email)
    rows = database.run(
        SELECT + "".join(FILTERS[name] for name in filters) + NEWEST_FIRST,
        repeatable=True,
        # A rare needle wants the trigram index, a common one a walk by id: planned with its value, each time.
        plan_with_values="email" in filters,
        before=before,
        rows=limit + 1,
        **filters,
    )
    return page(request, rows, limit)


handler = app.handler
