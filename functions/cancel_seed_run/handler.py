"""POST /api/dev/seed/{run_id}/cancel/"""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from orders import database
from orders.api import Api, document
from orders.errors import Problem, not_found
from orders.models import SeedRun

app = Api()
CANCEL_SEED_RUN = database.load_sql(__file__, "cancel_seed_run.sql")
SEED_RUN = "SELECT status, document::text FROM seed_run_documents WHERE id = :run_id"


@app.endpoint(
    "POST",
    "/api/dev/seed/<run_id>/cancel",
    scopes=["dev/seed"],
    returns={200: SeedRun},
    problems=[404, 409],
    tag="Seeding",
)
def cancel_seed_run(run_id: Annotated[UUID, Path()]) -> Response[str]:
    """Cancel what a seed run has not begun yet.

    A chunk that is being made at this moment is still finished; `rows_done` counts what was made, and it stays.
    Repeating it changes nothing and answers 200; a run that has ended otherwise is a conflict.
    """
    database.run(CANCEL_SEED_RUN, repeatable=True, run_id=str(run_id))
    rows = database.run(SEED_RUN, repeatable=True, run_id=str(run_id))
    if not rows:
        raise not_found("seed run", run_id)
    [(status, run)] = rows
    if status != "cancelled":
        raise Problem(409, f"The run has {status} already.")
    return document(run)


handler = app.handler
