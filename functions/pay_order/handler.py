"""POST /api/orders/{order_id}/pay/"""

from aws_lambda_powertools.event_handler import Response

from orders.api import Api, Id, IfMatch
from orders.models import Order
from orders.writes import transition_order

app = Api()


@app.endpoint(
    "POST",
    "/api/orders/<order_id>/pay",
    scopes=["orders/write"],
    returns={200: Order},
    problems=[404, 409, 412],
    tag="Orders",
)
def pay_order(order_id: Id, if_match: IfMatch = None) -> Response[str]:
    """Mark a pending order as paid.

    Repeating it changes nothing and answers 200, also when `If-Match` holds the ETag from before.
    """
    return transition_order(app.current_event, order_id, if_match, action="pay", becomes="paid")


handler = app.handler
