"""GET /api/webhooks/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
# The inner limit tells the planner that few rows are wanted, so that the plan that is kept seems cheap enough to be used.
LIST_WEBHOOKS = """
SELECT id, document::text FROM (SELECT id, document FROM webhook_documents
WHERE id < :before ORDER BY id DESC LIMIT {most}) AS newest_first LIMIT :rows"""


@app.endpoint(
    "GET",
    "/api/webhooks",
    scopes=["webhooks/read"],
    returns={200: "WebhookPage"},
    tag="Webhooks",
)
def list_webhooks(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List webhooks, newest first.

    Their secrets are not shown.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    sql = LIST_WEBHOOKS.format(most=MAX_PAGE_ROWS + 1)
    return page(request, database.run(sql, repeatable=True, before=before, rows=limit + 1), limit)


handler = app.handler
