"""DELETE /api/webhooks/{webhook_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.responses import if_match_tags, response
from orders.webhooks import changed_or_gone

if TYPE_CHECKING:
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
DELETE_WEBHOOK = database.load_sql(__file__, "delete_webhook.sql")


@app.endpoint(
    "DELETE",
    "/api/webhooks/{webhook_id}",
    scopes=["webhooks/write"],
    returns={204: None},
    problems=[404, 412],
    tag="Webhooks",
)
def delete_webhook(request: Request, webhook_id: Id, if_match: IfMatch = None) -> Response:
    """Delete a webhook.

    Deliveries that have not succeeded yet are not sent any more.
    """
    if database.run(DELETE_WEBHOOK, webhook_id=webhook_id, if_match=if_match_tags(if_match)):
        return response(204, None, "", {})
    raise changed_or_gone(webhook_id)


handler = app.handler
