"""GET /api/exports/{export_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.exports import refuse_unless_readable, with_link
from orders.responses import json_response

if TYPE_CHECKING:
    from orders.parameters import ExportId
    from orders.requests import Request
    from orders.responses import Response

app = Api()
EXPORT = """
SELECT kind, export_json(e)::text, CASE WHEN status = 'succeeded' AND expires_at > now() THEN export_key(e) END
FROM exports AS e WHERE id = :export_id
"""


@app.endpoint(
    "GET",
    "/api/exports/{export_id}",
    scopes=["exports/write"],
    returns={200: "Export"},
    problems=[403, 404],
    tag="Exports",
)
def get_export(request: Request, export_id: ExportId) -> Response:
    """Get an export, its progress, and a fresh link to its file once it has succeeded.

    Whoever has the link can download the file for 10 minutes, without a token.
    """
    rows = database.run(EXPORT, repeatable=True, export_id=export_id)
    if not rows:
        raise not_found("export", export_id)
    [(kind, document, key)] = rows
    refuse_unless_readable(request, kind)
    return json_response(document if key is None else with_link(document, key, kind))


handler = app.handler
