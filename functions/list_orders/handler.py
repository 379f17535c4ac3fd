"""GET /api/orders/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT
from orders.needles import email_filters
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, CustomerFilter, EmailFilter, Limit, StatusFilter
    from orders.requests import Request
    from orders.responses import Response

app = Api()

SELECT = "SELECT id, document::text FROM order_documents WHERE id < :before"
# The same order under another name, which only the indexes by status have: asked for id, the planner prefers to walk the
# primary key, past every newer order of another status.
SELECT_BY_STATUS = "SELECT id, document::text FROM order_documents WHERE -id > -:before::bigint"
FILTERS = {
    "status": " AND status = :status",
    "email": " AND email LIKE :email",
    "needle": " AND strpos(email, :needle) > 0",
    "customer_id": " AND customer_id = :customer_id",
}
NEWEST_FIRST = " ORDER BY id DESC LIMIT :rows"
NEWEST_FIRST_BY_STATUS = " ORDER BY -id LIMIT :rows"


@app.endpoint("GET", "/api/orders", scopes=["orders/read"], returns={200: "OrderPage"}, tag="Orders")
def list_orders(
    request: Request,
    status: StatusFilter = None,
    email: EmailFilter = None,
    customer_id: CustomerFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List orders, newest first.

    Filters combine with AND.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    wanted = {"status": status, "customer_id": customer_id, **email_filters(email)}
    filters = {name: value for name, value in wanted.items() if value is not None}
    select, newest_first = (SELECT_BY_STATUS, NEWEST_FIRST_BY_STATUS) if status else (SELECT, NEWEST_FIRST)
    rows = database.run(
        select + "".join(FILTERS[name] for name in filters) + newest_first,
        repeatable=True,
        # A rare needle wants the index on customers, a common one a walk over orders: planned with its value, each time.
        plan_with_values="email" in filters,
        before=before,
        rows=limit + 1,
        **filters,
    )
    return page(request, rows, limit)


handler = app.handler
