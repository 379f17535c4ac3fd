"""DELETE /api/exports/{export_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import response

if TYPE_CHECKING:
    from orders.parameters import ExportId
    from orders.requests import Request
    from orders.responses import Response

app = Api()
DELETE_EXPORT = database.load_sql(__file__, "delete_export.sql")


@app.endpoint(
    "DELETE",
    "/api/exports/{export_id}",
    scopes=["exports/write"],
    returns={204: None},
    problems=[404],
    tag="Exports",
)
def delete_export(request: Request, export_id: ExportId) -> Response:
    """Cancel an unfinished export, or remove one that has ended together with its file.

    Links to the file stop working soon after.
    """
    if not database.run(DELETE_EXPORT, export_id=export_id):
        raise not_found("export", export_id)
    return response(204, None, "", {})


handler = app.handler
