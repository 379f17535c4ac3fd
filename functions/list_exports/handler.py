"""GET /api/exports/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.exports import readable_kinds
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
# The inner limit tells the planner that few rows are wanted, so that the plan that is kept seems cheap enough to be used.
LIST = """
SELECT number, document::text FROM (SELECT number, export_json(e) AS document FROM exports AS e
WHERE number < :before AND kind = ANY (:kinds::text[]) ORDER BY number DESC LIMIT {most}) AS newest_first LIMIT :rows"""


@app.endpoint("GET", "/api/exports", scopes=["exports/write"], returns={200: "ExportPage"}, tag="Exports")
def list_exports(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List exports, newest first.

    Exports of lists that the token may not read are left out, as their filters may name a customer. `url` is null here: ask
    for one export to get its link.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    sql = LIST.format(most=MAX_PAGE_ROWS + 1)
    rows = database.run(sql, repeatable=True, before=before, kinds=readable_kinds(request), rows=limit + 1)
    return page(request, rows, limit)


handler = app.handler
