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
    """Cancel what a seed run has not begun yet.

    A chunk that is being made at this moment is still finished; `rows_done` counts what was made, and it stays.
    Repeating it changes nothing and answers 200; a run that has ended otherwise is a conflict.
    """
    database.run(CANCEL_SEED_RUN, repeatable=True, run_id=run_id)
    rows = database.run(SEED_RUN, repeatable=True, run_id=run_id)
    if not rows:
        raise not_found("seed run", run_id)
    [(status, run)] = rows
    if status != "cancelled":
        raise Problem(409, f"The run has {status} already.")
    return json_response(run)


handler = app.handler
