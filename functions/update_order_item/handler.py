"""PATCH /api/orders/{order_id}/items/{item_id}/"""

import json

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IfMatch, document, required_validators
from orders.errors import not_found
from orders.models import ItemChange, Order
from orders.writes import OrderState, change_order, refuse_unless_pending

app = Api()
UPDATE_ORDER_ITEM = database.load_sql(__file__, "update_order_item.sql")


@app.endpoint(
    "PATCH",
    "/api/orders/<order_id>/items/<item_id>",
    scopes=["orders/write"],
    returns={200: Order},
    problems=[404, 409, 412],
    tag="Order items",
)
def update_order_item(order_id: Id, item_id: Id, change: ItemChange, if_match: IfMatch = None) -> Response[str]:
    """Change the quantity or the price of an item of a pending order."""

    def attempt() -> Response[str] | None:
        rows = database.run(
            UPDATE_ORDER_ITEM,
            order_id=order_id,
            item_id=item_id,
            quantity=change.quantity,
            unit_price_cents=change.unit_price_cents,
            if_match=required_validators(if_match),
            actor=app.current_event.caller,
            request_id=app.current_event.request_id,
        )
        return document(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        if item_id not in [item["id"] for item in json.loads(order.body)["items"]]:
            raise not_found("item", item_id)

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
