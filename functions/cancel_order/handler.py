"""POST /api/orders/{order_id}/cancel/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders.api import Api
from orders.writes import transition_order

if TYPE_CHECKING:
    from orders.models import Cancellation
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()


@app.endpoint(
    "POST",
    "/api/orders/{order_id}/cancel",
    scopes=["orders/write"],
    returns={200: "Order"},
    problems=[404, 409, 412],
    tag="Orders",
)
def cancel_order(
    request: Request,
    order_id: Id,
    cancellation: Cancellation = {},  # noqa: B006 - says that it may be left out
    if_match: IfMatch = None,
) -> Response:
    """Cancel a pending or paid order.

    A `reason` stands in the event. The customer, the customer's other orders and the items stay as they are.
    Repeating it changes nothing and answers 200, even if `If-Match` has the earlier ETag.
    """
    return transition_order(
        request, order_id, if_match, action="cancel", becomes="cancelled", reason=cancellation.get("reason")
    )


handler = app.handler
