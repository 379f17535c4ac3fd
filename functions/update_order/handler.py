"""PATCH /api/orders/{order_id}/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.responses import if_match_tags, json_response
from orders.writes import OrderState, change_order, is_so_already

if TYPE_CHECKING:
    from orders.models import OrderChange
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
UPDATE_ORDER = database.load_sql(__file__, "update_order.sql")


@app.endpoint(
    "PATCH",
    "/api/orders/{order_id}",
    scopes=["orders/write"],
    returns={200: "Order"},
    problems=[404, 409, 412],
    tag="Orders",
)
def update_order(request: Request, order_id: Id, change: OrderChange, if_match: IfMatch = None) -> Response:
    """Change the metadata of an order, whatever its status.

    The keys given are set, those that are null are removed, and the others stay; more than 20 in the end are a conflict.
    A change that makes no difference is answered 200 and leaves no event. The reference never changes.
    """

    def attempt() -> Response | None:
        rows = database.run(
            UPDATE_ORDER,
            order_id=order_id,
            metadata=json.dumps(change["metadata"]),
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> Response | None:
        return json_response(order.body, etag=order.etag) if is_so_already(order.body, change) else None

    return change_order(order_id, if_match, attempt, explain)


handler = app.handler
