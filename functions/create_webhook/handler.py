"""POST /api/webhooks/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem
from orders.webhooks import check_url, new_secret
from orders.writes import create

if TYPE_CHECKING:
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response
    from orders.webhook_models import NewWebhook

app = Api()
CREATE_WEBHOOK = database.load_sql(__file__, "create_webhook.sql")
# Each event is looked up in all of them.
MOST_WEBHOOKS = 100


@app.endpoint(
    "POST",
    "/api/webhooks",
    scopes=["webhooks/write"],
    returns={201: "WebhookWithSecret"},
    problems=[409],
    tag="Webhooks",
)
def create_webhook(request: Request, webhook: NewWebhook, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a webhook, and show its secret this one time.

    Events of its types are posted to its URL as Standard Webhooks 1.0 says. A request that is repeated with its
    `Idempotency-Key` is answered with null as the secret, because no stored answer holds it.
    """
    check_url(webhook["url"])
    key, secret = new_secret()
    created = create(
        request,
        CREATE_WEBHOOK,
        webhook,
        idempotency_key,
        url=webhook["url"],
        event_types=webhook["types"],
        description=webhook.get("description", ""),
        secret_key=key,
        secret=secret,
        most=MOST_WEBHOOKS,
    )
    if created is None:
        raise Problem(409, f"There are {MOST_WEBHOOKS} webhooks already.")
    return created


handler = app.handler
