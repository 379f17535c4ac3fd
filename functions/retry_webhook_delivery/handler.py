"""POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/retry/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import json_response
from orders.webhooks import refusal

if TYPE_CHECKING:
    from orders.parameters import Id
    from orders.requests import Request
    from orders.responses import Response

app = Api()
RETRY = database.load_sql(__file__, "retry_webhook_delivery.sql")
DELIVERY = "SELECT id FROM webhook_deliveries WHERE id = :delivery_id AND webhook_id = :webhook_id"


@app.endpoint(
    "POST",
    "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/retry",
    scopes=["webhooks/write"],
    returns={202: "WebhookDelivery"},
    problems=[404, 409],
    tag="Webhooks",
)
def retry_webhook_delivery(request: Request, webhook_id: Id, delivery_id: Id) -> Response:
    """Deliver an event again, now, whatever became of it.

    Attempts that fail are repeated for three days from now.
    """
    rows = database.run(RETRY, webhook_id=webhook_id, delivery_id=delivery_id)
    if rows:
        return json_response(rows[0][0], status=202)
    if not database.run(DELIVERY, repeatable=True, webhook_id=webhook_id, delivery_id=delivery_id):
        raise not_found("delivery", delivery_id)
    raise refusal(webhook_id)


handler = app.handler
