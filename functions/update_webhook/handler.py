"""PATCH /api/webhooks/{webhook_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.responses import if_match_tags, json_response
from orders.webhooks import changed_or_gone, check_url

if TYPE_CHECKING:
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response
    from orders.webhook_models import WebhookChange

app = Api()
UPDATE_WEBHOOK = database.load_sql(__file__, "update_webhook.sql")


@app.endpoint(
    "PATCH",
    "/api/webhooks/{webhook_id}",
    scopes=["webhooks/write"],
    returns={200: "Webhook"},
    problems=[404, 412],
    tag="Webhooks",
)
def update_webhook(request: Request, webhook_id: Id, change: WebhookChange, if_match: IfMatch = None) -> Response:
    """Change a webhook, also to disable or enable it.

    While a webhook is disabled, its deliveries are cancelled, and a replay sends them later. After 30 days, new events make
    no deliveries for it any more. Enabling it forgets its failures.
    """
    if "url" in change:
        check_url(change["url"])
    rows = database.run(
        UPDATE_WEBHOOK,
        webhook_id=webhook_id,
        url=change.get("url"),
        event_types=change.get("types"),
        description=change.get("description"),
        enabled=change.get("enabled"),
        if_match=if_match_tags(if_match),
    )
    if rows:
        [(etag, body)] = rows
        return json_response(body, etag=etag)
    raise changed_or_gone(webhook_id)


handler = app.handler
