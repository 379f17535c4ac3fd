"""DELETE /api/exports/{export_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.exports import readable_kinds, refuse_unless_readable
from orders.responses import response

if TYPE_CHECKING:
    from orders.parameters import ExportId
    from orders.requests import Request
    from orders.responses import Response

app = Api()
DELETE_EXPORT = database.load_sql(__file__, "delete_export.sql")
KIND = "SELECT kind FROM exports WHERE id = :export_id"


@app.endpoint(
    "DELETE",
    "/api/exports/{export_id}",
    scopes=["exports/write"],
    returns={204: None},
    problems=[403, 404],
    tag="Exports",
)
def delete_export(request: Request, export_id: ExportId) -> Response:
    """Cancel an unfinished export, or remove one that has ended together with its file.

    Links to the file stop working soon after. As for reading it, the token needs the scope of the list as well.
    """
    if not database.run(DELETE_EXPORT, export_id=export_id, kinds=readable_kinds(request)):
        # Only a refusal needs to know which kind it is.
        for (kind,) in database.run(KIND, export_id=export_id):
            refuse_unless_readable(request, kind)
        raise not_found("export", export_id)
    return response(204, None, "", {})


handler = app.handler
