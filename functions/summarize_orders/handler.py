"""GET /api/orders/summary/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Cursor, Limit, page, page_start
from orders.models import MAX_BIGINT, CustomerSummaryPage

app = Api()
SUMMARIZE_ORDERS = database.load_sql(__file__, "summarize_orders.sql")


@app.endpoint("GET", "/api/orders/summary", scopes=["orders/read"], returns={200: CustomerSummaryPage}, tag="Orders")
def summarize_orders(limit: Limit = 50, cursor: Cursor = None) -> Response[str]:
    """Summarize orders per customer, biggest spender first.

    Every customer appears, also without orders. Cancelled orders and their items are counted, but nothing is spent on them.
    """
    [negative_spent, customer_id] = page_start(app.current_event, cursor, [-MAX_BIGINT - 1, 0])
    rows = database.run(
        SUMMARIZE_ORDERS, repeatable=True, negative_spent=negative_spent, customer_id=customer_id, rows=limit + 1
    )
    return page(app.current_event, rows, limit)


handler = app.handler
