"""POST /api/webhooks/{webhook_id}/test/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.responses import json_response
from orders.webhooks import refusal

if TYPE_CHECKING:
    from orders.parameters import Id
    from orders.requests import Request
    from orders.responses import Response

app = Api()
TEST_WEBHOOK = database.load_sql(__file__, "test_webhook.sql")


@app.endpoint(
    "POST",
    "/api/webhooks/{webhook_id}/test",
    scopes=["webhooks/write"],
    returns={202: "WebhookDelivery"},
    problems=[404, 409],
    tag="Webhooks",
)
def test_webhook(request: Request, webhook_id: Id) -> Response:
    """Send a webhook an event of the type `webhook.test`.

    It is delivered as any other. A disabled webhook is not sent one.
    """
    rows = database.run(TEST_WEBHOOK, webhook_id=webhook_id)
    if rows:
        return json_response(rows[0][0], status=202)
    raise refusal(webhook_id)


handler = app.handler
