"""GET /api/customers/"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.needles import index_pattern
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, EmailFilter, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()

# The inner limit tells the planner that few rows are wanted, so that the plan that is kept seems cheap enough to be used.
LIST_CUSTOMERS = """
SELECT id, document::text FROM (SELECT id, customer_json(c) AS document FROM customers AS c
WHERE id < (SELECT :before::bigint) ORDER BY id DESC LIMIT {most}) AS newest_first LIMIT :rows"""
# By a part of the address.
SEARCH_CUSTOMERS = database.load_sql(__file__, "search_customers.sql")
WALK_CUSTOMERS = database.load_sql(__file__, "walk_customers.sql")


@app.endpoint("GET", "/api/customers", scopes=["customers/read"], returns={200: "CustomerPage"}, tag="Customers")
def list_customers(request: Request, email: EmailFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List customers, newest first.

    `email` finds those whose address contains a text. To read all of them, follow `next` until it is null.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    sql = LIST_CUSTOMERS.format(most=MAX_PAGE_ROWS + 1)
    values: dict[str, Any] = {}
    if email is not None:
        needle = email.lower()
        pattern = index_pattern(needle)
        sql = WALK_CUSTOMERS if pattern is None else SEARCH_CUSTOMERS
        values = {"needle": needle} if pattern is None else {"needle": needle, "pattern": pattern}
    rows = database.run(sql, repeatable=True, before=before, rows=limit + 1, **values)
    return page(request, rows, limit)


handler = app.handler
