"""GET /api/orders/{order_id}/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IfNoneMatch, conditional_document
from orders.errors import not_found
from orders.models import Order

app = Api()
GET_ORDER = database.load_sql(__file__, "get_order.sql")


@app.endpoint(
    "GET",
    "/api/orders/<order_id>",
    scopes=["orders/read"],
    returns={200: Order, 304: None},
    problems=[404],
    tag="Orders",
)
def get_order(order_id: Id, if_none_match: IfNoneMatch = None) -> Response[str]:
    """Get one order with its customer and its items."""
    rows = database.run(GET_ORDER, repeatable=True, order_id=order_id)
    if not rows:
        raise not_found("order", order_id)
    [(etag, body)] = rows
    return conditional_document(body, etag, if_none_match)


handler = app.handler
