"""POST /api/orders/{order_id}/cancel/"""

from aws_lambda_powertools.event_handler import Response

from orders.api import Api, Id, IfMatch
from orders.models import Order
from orders.writes import transition_order

app = Api()


@app.endpoint(
    "POST",
    "/api/orders/<order_id>/cancel",
    scopes=["orders/write"],
    returns={200: Order},
    problems=[404, 409, 412],
    tag="Orders",
)
def cancel_order(order_id: Id, if_match: IfMatch = None) -> Response[str]:
    """Cancel a pending or paid order.

    The customer, the customer's other orders and the items stay as they are.
    Repeating it changes nothing and answers 200, also when `If-Match` holds the ETag from before.
    """
    return transition_order(app.current_event, order_id, if_match, action="cancel", becomes="cancelled")


handler = app.handler
