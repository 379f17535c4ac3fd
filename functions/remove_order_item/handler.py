"""DELETE /api/orders/{order_id}/items/{item_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, not_found
from orders.responses import if_match_tags, json_response
from orders.writes import OrderState, change_order, refuse_unless_pending

if TYPE_CHECKING:
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
REMOVE_ORDER_ITEM = database.load_sql(__file__, "remove_order_item.sql")


@app.endpoint(
    "DELETE",
    "/api/orders/{order_id}/items/{item_id}",
    scopes=["orders/write"],
    returns={200: "Order"},
    problems=[404, 409, 412],
    tag="Order items",
)
def remove_order_item(request: Request, order_id: Id, item_id: Id, if_match: IfMatch = None) -> Response:
    """Remove an item from a pending order; its last item stays.

    The answer is the order without it, with its new total. Any other status than `pending`, or a last item, is a 409.
    """

    def attempt() -> Response | None:
        rows = database.run(
            REMOVE_ORDER_ITEM,
            order_id=order_id,
            item_id=item_id,
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        if item_id not in order.item_ids:
            raise not_found("item", item_id)
        if len(order.item_ids) == 1:
            raise Problem(409, "An order keeps at least one item; cancel the order instead.")

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
