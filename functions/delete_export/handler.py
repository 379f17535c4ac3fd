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
    # Again, if it has ended, or gone, while the statement waited for it.
    while found := database.run(DELETE_EXPORT, export_id=export_id, kinds=readable_kinds(request)):
        [[kind, ended]] = found
        refuse_unless_readable(request, kind)
        if ended:
            return response(204, None, "", {})
    raise not_found("export", export_id)


handler = app.handler
