"""POST /api/dev/seed/"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, invalid
from orders.writes import create

if TYPE_CHECKING:
    from orders.models import NewSeedRun
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
START_SEED = database.load_sql(__file__, "start_seed.sql")
MAX_ROWS = 50_000_000
# Over all runs.
MAX_UNFINISHED_ROWS = int(os.environ["SEED_MAX_UNFINISHED_ROWS"])
# About a fifth of a second of PostgreSQL's time: short enough to be repeated, long enough to be worth a message.
ROWS_PER_CHUNK = 25_000


@app.endpoint("POST", "/api/dev/seed", scopes=["dev/seed"], returns={202: "SeedRun"}, problems=[409], tag="Seeding")
def start_seed(
    request: Request,
    run: NewSeedRun = {},  # noqa: B006 - says that it may be left out; openapi.json has the defaults
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a seed run: that many customers, with that many orders and items on average.

    The total number of rows is exact; a few customers have many orders, and a few orders have many items. Their timestamps lie
    within the last 90 days, but after any existing rows. Follow `Location` for progress. Not deployed to production.
    """
    rows_per_customer = 1 + run["orders_per_customer"] * (1 + run["items_per_order"])
    if run["orders_per_customer"] and not run["items_per_order"]:
        raise invalid("items_per_order", "must be at least 1 if there are orders")
    rows = run["customers"] * rows_per_customer
    if rows > MAX_ROWS:
        raise Problem(422, f"A run inserts at most {MAX_ROWS:,} rows; this one would insert {rows:,}.")
    created = create(
        request,
        START_SEED,
        run,
        idempotency_key,
        status=202,
        **run,
        rows_per_customer=rows_per_customer,
        customers_per_chunk=max(1, ROWS_PER_CHUNK // rows_per_customer),
        most_unfinished_rows=MAX_UNFINISHED_ROWS,
    )
    if created is None:
        raise Problem(
            409,
            f"With this run, more than {MAX_UNFINISHED_ROWS:,} rows would be waiting; wait, or cancel another run.",
        )
    return created


handler = app.handler
