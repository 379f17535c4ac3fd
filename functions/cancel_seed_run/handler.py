"""POST /api/dev/seed/{run_id}/cancel/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, not_found
from orders.responses import json_response

if TYPE_CHECKING:
    from orders.parameters import RunId
    from orders.requests import Request
    from orders.responses import Response

app = Api()
CANCEL_SEED_RUN = database.load_sql(__file__, "cancel_seed_run.sql")
SEED_RUN = "SELECT status, document::text FROM seed_run_documents WHERE id = :run_id"


@app.endpoint(
    "POST",
    "/api/dev/seed/{run_id}/cancel",
    scopes=["dev/seed"],
    returns={200: "SeedRun"},
    problems=[404, 409],
    tag="Seeding",
)
def cancel_seed_run(request: Request, run_id: RunId) -> Response:
    """Cancel what a seed run has not started yet.

    A chunk that is in progress is still completed. `rows_done` counts the rows inserted so far, which stay.
    Repeating it changes nothing and answers 200. A run that has already ended is a conflict.
    """
    database.run(CANCEL_SEED_RUN, repeatable=True, run_id=run_id)
    rows = database.run(SEED_RUN, repeatable=True, run_id=run_id)
    if not rows:
        raise not_found("seed run", run_id)
    [(status, run)] = rows
    if status != "cancelled":
        raise Problem(409, f"The run has already {status}.")
    return json_response(run)


handler = app.handler
