"""GET /api/webhooks/{webhook_id}/deliveries/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.paging import page, page_start
from orders.webhooks import exists

if TYPE_CHECKING:
    from orders.parameters import Cursor, Id, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
LIST_DELIVERIES = database.load_sql(__file__, "list_webhook_deliveries.sql").format(most=MAX_PAGE_ROWS + 1)


@app.endpoint(
    "GET",
    "/api/webhooks/{webhook_id}/deliveries",
    scopes=["webhooks/read"],
    returns={200: "WebhookDeliveryPage"},
    problems=[404],
    tag="Webhooks",
)
def list_webhook_deliveries(request: Request, webhook_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List what was delivered to a webhook, and what was not, newest first.

    Each shows the first 1024 bytes of the receiver's last answer. Deliveries are kept for 90 days.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    rows = database.run(LIST_DELIVERIES, repeatable=True, webhook_id=webhook_id, before=before, rows=limit + 1)
    if not rows and not exists(webhook_id):
        raise not_found("webhook", webhook_id)
    return page(request, rows, limit)


handler = app.handler
