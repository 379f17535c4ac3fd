"""DELETE /api/orders/{order_id}/items/{item_id}/"""

import json

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IfMatch, document, required_validators
from orders.errors import Problem, not_found
from orders.models import Order
from orders.writes import OrderState, change_order, refuse_unless_pending

app = Api()
REMOVE_ORDER_ITEM = database.load_sql(__file__, "remove_order_item.sql")


@app.endpoint(
    "DELETE",
    "/api/orders/<order_id>/items/<item_id>",
    scopes=["orders/write"],
    returns={200: Order},
    problems=[404, 409, 412],
    tag="Order items",
)
def remove_order_item(order_id: Id, item_id: Id, if_match: IfMatch = None) -> Response[str]:
    """Remove an item from a pending order; its last item stays."""

    def attempt() -> Response[str] | None:
        rows = database.run(
            REMOVE_ORDER_ITEM,
            order_id=order_id,
            item_id=item_id,
            if_match=required_validators(if_match),
            actor=app.current_event.caller,
            request_id=app.current_event.request_id,
        )
        return document(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> None:
        refuse_unless_pending(order)
        items = [item["id"] for item in json.loads(order.body)["items"]]
        if item_id not in items:
            raise not_found("item", item_id)
        if len(items) == 1:
            raise Problem(409, "An order keeps at least one item; cancel the order instead.")

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
