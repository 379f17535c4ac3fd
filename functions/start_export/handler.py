"""POST /api/exports/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, all_invalid
from orders.exports import KINDS, refuse_unless_readable
from orders.writes import create

if TYPE_CHECKING:
    from orders.export_models import NewExport
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
START_EXPORT = database.load_sql(__file__, "start_export.sql")
MAX_UNFINISHED = 5


@app.endpoint("POST", "/api/exports", scopes=["exports/write"], returns={202: "Export"}, problems=[403, 409], tag="Exports")
def start_export(request: Request, export: NewExport, idempotency_key: IdempotencyKey = None) -> Response:
    """Queue an export of everything that a list would show with these filters, as a compressed file.

    Besides `exports/write` the token needs the scope of the list. Follow `Location` for progress, and for the link once it has
    succeeded. At most 5 exports are unfinished at a time.
    """
    kind, filters = export["kind"], export.get("filters", {})
    refuse_unless_readable(request, kind)
    known = KINDS[kind].filters
    if unknown := sorted(filters.keys() - known):
        message = f"unknown filter; exports of {kind} take {', '.join(known) or 'none'}"
        raise all_invalid([{"field": f"filters.{name}", "message": message} for name in unknown])
    created = create(
        request,
        START_EXPORT,
        export,
        idempotency_key,
        status=202,
        kind=kind,
        format=export["format"],
        filters=json.dumps(filters, separators=(",", ":")),
        most_unfinished=MAX_UNFINISHED,
    )
    if created is None:
        raise Problem(409, f"{MAX_UNFINISHED} exports are unfinished; wait, or cancel one.")
    return created


handler = app.handler
