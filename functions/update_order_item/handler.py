"""PATCH /api/orders/{order_id}/items/{item_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import if_match_tags, json_response
from orders.writes import OrderState, change_order, refuse_unless_pending

if TYPE_CHECKING:
    from orders.models import ItemChange
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
UPDATE_ORDER_ITEM = database.load_sql(__file__, "update_order_item.sql")


@app.endpoint(
    "PATCH",
    "/api/orders/{order_id}/items/{item_id}",
    scopes=["orders/write"],
    returns={200: "Order"},
    problems=[404, 409, 412],
    tag="Order items",
)
def update_order_item(request: Request, order_id: Id, item_id: Id, change: ItemChange, if_match: IfMatch = None) -> Response:
    """Change the quantity or the price of an item of a pending order.

    Fields that are left out stay as they are. The answer is the order with its new total. Any other status than `pending` is
    a 409.
    """

    def attempt() -> Response | None:
        rows = database.run(
            UPDATE_ORDER_ITEM,
            order_id=order_id,
            item_id=item_id,
            quantity=change.get("quantity"),
            unit_price_cents=change.get("unit_price_cents"),
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        if item_id not in order.item_ids:
            raise not_found("item", item_id)

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
