"""POST /api/webhooks/{webhook_id}/rotate-secret/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import json_response
from orders.webhooks import new_secret

if TYPE_CHECKING:
    from orders.parameters import Id
    from orders.requests import Request
    from orders.responses import Response

app = Api()
ROTATE_SECRET = database.load_sql(__file__, "rotate_webhook_secret.sql")


@app.endpoint(
    "POST",
    "/api/webhooks/{webhook_id}/rotate-secret",
    scopes=["webhooks/write"],
    returns={200: "WebhookWithSecret"},
    problems=[404],
    tag="Webhooks",
)
def rotate_webhook_secret(request: Request, webhook_id: Id) -> Response:
    """Give a webhook a new secret, and show it this one time.

    For 24 hours deliveries are signed with the former one as well.
    """
    key, secret = new_secret()
    rows = database.run(ROTATE_SECRET, webhook_id=webhook_id, secret_key=key, secret=secret)
    if not rows:
        raise not_found("webhook", webhook_id)
    [(etag, body)] = rows
    return json_response(body, etag=etag)


handler = app.handler
