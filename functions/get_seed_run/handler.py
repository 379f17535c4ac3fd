"""GET /api/dev/seed/{run_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import json_response

if TYPE_CHECKING:
    from orders.parameters import RunId
    from orders.requests import Request
    from orders.responses import Response

app = Api()
GET_SEED_RUN = "SELECT document::text FROM seed_run_documents WHERE id = :run_id"


@app.endpoint("GET", "/api/dev/seed/{run_id}", scopes=["dev/seed"], returns={200: "SeedRun"}, problems=[404], tag="Seeding")
def get_seed_run(request: Request, run_id: RunId) -> Response:
    """Get a seed run and its progress.

    Ask until `status` is `succeeded`, `failed` or `cancelled`; `rows_done` of `rows_total` rows have been inserted so far.
    """
    rows = database.run(GET_SEED_RUN, repeatable=True, run_id=run_id)
    if not rows:
        raise not_found("seed run", run_id)
    return json_response(rows[0][0])


handler = app.handler
