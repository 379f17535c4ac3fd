"""GET /api/orders/{order_id}/webhook-deliveries/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, Id, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
LIST = database.load_sql(__file__, "list_order_deliveries.sql")


@app.endpoint(
    "GET",
    "/api/orders/{order_id}/webhook-deliveries",
    scopes=["webhooks/read"],
    returns={200: "WebhookDeliveryPage"},
    problems=[404],
    tag="Webhooks",
)
def list_order_deliveries(request: Request, order_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List what webhooks were told of an order, and what they were not, oldest event first.

    A page can be short or empty where no webhook wanted the events. Follow `next` until it is null.
    """
    sequence, after = page_start(request, cursor, [0, 0])
    rows = database.run(LIST, repeatable=True, order_id=order_id, sequence=sequence, after=after, rows=limit + 1)
    if not rows:
        raise not_found("order", order_id)
    return page(request, [row for row in rows if row[0] is not None], limit)


handler = app.handler
