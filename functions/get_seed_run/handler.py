"""GET /api/dev/seed/{run_id}/"""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from orders import database
from orders.api import Api, document
from orders.errors import not_found
from orders.models import SeedRun

app = Api()
GET_SEED_RUN = database.load_sql(__file__, "get_seed_run.sql")


@app.endpoint("GET", "/api/dev/seed/<run_id>", scopes=["dev/seed"], returns={200: SeedRun}, problems=[404], tag="Seeding")
def get_seed_run(run_id: Annotated[UUID, Path()]) -> Response[str]:
    """Get a seed run and its progress."""
    rows = database.run(GET_SEED_RUN, repeatable=True, run_id=str(run_id))
    if not rows:
        raise not_found("seed run", run_id)
    return document(rows[0][0])


handler = app.handler
