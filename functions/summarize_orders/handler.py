"""GET /api/orders/summary/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
SUMMARIZE_ORDERS = database.load_sql(__file__, "summarize_orders.sql").format(most=MAX_PAGE_ROWS + 1)


@app.endpoint("GET", "/api/orders/summary", scopes=["orders/read"], returns={200: "CustomerSummaryPage"}, tag="Orders")
def summarize_orders(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Summarize orders per customer, biggest spender first.

    Every customer appears, even without orders. Cancelled orders and their items are counted, but not in the amount spent.
    """
    [negative_spent, customer_id] = page_start(request, cursor, [-MAX_BIGINT - 1, 0])
    rows = database.run(
        SUMMARIZE_ORDERS, repeatable=True, negative_spent=negative_spent, customer_id=customer_id, rows=limit + 1
    )
    return page(request, rows, limit)


handler = app.handler
