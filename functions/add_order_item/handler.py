"""POST /api/orders/{order_id}/items/"""

import json

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IdempotencyKey, IfMatch, required_validators
from orders.errors import Problem
from orders.models import MAX_ITEMS, NewItem, Order
from orders.writes import OrderState, change_order, create, refuse_unless_pending

app = Api()
ADD_ORDER_ITEM = database.load_sql(__file__, "add_order_item.sql")


@app.endpoint(
    "POST",
    "/api/orders/<order_id>/items",
    scopes=["orders/write"],
    returns={201: Order},
    problems=[404, 409, 412],
    tag="Order items",
)
def add_order_item(
    order_id: Id, item: NewItem, idempotency_key: IdempotencyKey = None, if_match: IfMatch = None
) -> Response[str]:
    """Add an item to a pending order.

    An order holds at most 500 items.
    """

    def attempt() -> Response[str] | None:
        return create(
            app.current_event,
            ADD_ORDER_ITEM,
            item,
            idempotency_key,
            order_id=order_id,
            sku=item.sku,
            quantity=item.quantity,
            unit_price_cents=item.unit_price_cents,
            if_match=required_validators(if_match),
            max_items=MAX_ITEMS,
            actor=app.current_event.caller,
            request_id=app.current_event.request_id,
        )

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        if len(json.loads(order.body)["items"]) >= MAX_ITEMS:
            raise Problem(409, f"The order has {MAX_ITEMS} items, and cannot hold more.")

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
