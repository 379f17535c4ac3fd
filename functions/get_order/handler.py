"""GET /api/orders/{order_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import conditional_response

if TYPE_CHECKING:
    from orders.parameters import Id, IfNoneMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
GET_ORDER = "SELECT etag, document::text FROM order_documents WHERE id = :order_id"


@app.endpoint(
    "GET",
    "/api/orders/{order_id}",
    scopes=["orders/read"],
    returns={200: "Order", 304: None},
    problems=[404],
    tag="Orders",
)
def get_order(request: Request, order_id: Id, if_none_match: IfNoneMatch = None) -> Response:
    """Get one order with its customer and its items.

    `allowed_actions` says what can be done with it now. With `If-None-Match`, the answer is 304 and empty while the order
    is still as the client knows it.
    """
    rows = database.run(GET_ORDER, repeatable=True, order_id=order_id)
    if not rows:
        raise not_found("order", order_id)
    [(etag, body)] = rows
    return conditional_response(body, etag, if_none_match)


handler = app.handler
