"""POST /api/orders/{order_id}/items/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem
from orders.limits import MAX_ITEMS
from orders.responses import if_match_tags
from orders.writes import OrderState, change_order, create, refuse_unless_pending

if TYPE_CHECKING:
    from orders.models import NewItem
    from orders.parameters import Id, IdempotencyKey, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
ADD_ORDER_ITEM = database.load_sql(__file__, "add_order_item.sql")


@app.endpoint(
    "POST",
    "/api/orders/{order_id}/items",
    scopes=["orders/write"],
    returns={201: "Order"},
    problems=[404, 409, 412],
    tag="Order items",
)
def add_order_item(
    request: Request, order_id: Id, item: NewItem, idempotency_key: IdempotencyKey = None, if_match: IfMatch = None
) -> Response:
    """Add an item to a pending order.

    An order holds at most 500 items. The answer is the order with its new total. Any other status than `pending` is a 409.
    """

    def attempt() -> Response | None:
        return create(
            request,
            ADD_ORDER_ITEM,
            item,
            idempotency_key,
            order_id=order_id,
            **item,
            if_match=if_match_tags(if_match),
            max_items=MAX_ITEMS,
            actor=request.caller,
            request_id=request.request_id,
        )

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        if len(order.item_ids) >= MAX_ITEMS:
            raise Problem(409, f"The order has {MAX_ITEMS} items, and cannot hold more.")

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
