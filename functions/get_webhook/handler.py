"""GET /api/webhooks/{webhook_id}/"""

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
GET_WEBHOOK = "SELECT etag, document::text FROM webhook_documents WHERE id = :webhook_id"


@app.endpoint(
    "GET",
    "/api/webhooks/{webhook_id}",
    scopes=["webhooks/read"],
    returns={200: "Webhook", 304: None},
    problems=[404],
    tag="Webhooks",
)
def get_webhook(request: Request, webhook_id: Id, if_none_match: IfNoneMatch = None) -> Response:
    """Get one webhook.

    A webhook that was disabled says why.
    """
    rows = database.run(GET_WEBHOOK, repeatable=True, webhook_id=webhook_id)
    if not rows:
        raise not_found("webhook", webhook_id)
    [(etag, body)] = rows
    return conditional_response(body, etag, if_none_match)


handler = app.handler
