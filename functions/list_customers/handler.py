"""GET /api/customers/"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT
from orders.needles import index_pattern
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, EmailFilter, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()

LIST = "SELECT id, customer_json(c)::text FROM customers AS c WHERE id < :before ORDER BY id DESC LIMIT :rows"
# By a part of the address.
SEARCH = database.load_sql(__file__, "search_customers.sql")
WALK = database.load_sql(__file__, "walk_customers.sql")


@app.endpoint("GET", "/api/customers", scopes=["customers/read"], returns={200: "CustomerPage"}, tag="Customers")
def list_customers(request: Request, email: EmailFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List customers, newest first."""
    [before] = page_start(request, cursor, [MAX_BIGINT])
    sql = LIST
    values: dict[str, Any] = {}
    if email is not None:
        needle = email.lower()
        pattern = index_pattern(needle)
        sql = WALK if pattern is None else SEARCH
        values = {"needle": needle} if pattern is None else {"needle": needle, "pattern": pattern}
    rows = database.run(sql, repeatable=True, before=before, rows=limit + 1, **values)
    return page(request, rows, limit)


handler = app.handler
