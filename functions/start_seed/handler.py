"""POST /api/dev/seed/"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orders import database
from orders.api import Api
from orders.errors import Problem, invalid
from orders.messages import run_message
from orders.writes import create

if TYPE_CHECKING:
    from orders.models import NewSeedRun
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
START_SEED = database.load_sql(__file__, "start_seed.sql")
FAIL_SEED = database.load_sql(__file__, "fail_seed_run.sql")
# A run that was started under a key can be asked for again. Where its message is known to have been taken, it needs no other.
NEEDS_MESSAGE = """
SELECT id FROM seed_runs WHERE id = :run_id AND queued_at IS NULL AND failed_at IS NULL AND cancelled_at IS NULL
"""
MARK_QUEUED = database.load_sql(__file__, "mark_seed_run_queued.sql")
QUEUE_URL = os.environ["SEED_QUEUE_URL"]
MAX_ROWS = 50_000_000
# Over all runs.
MAX_UNFINISHED_ROWS = int(os.environ["SEED_MAX_UNFINISHED_ROWS"])
# About a fifth of a second of PostgreSQL's time: short enough to be repeated, long enough to be worth a message.
ROWS_PER_CHUNK = 25_000

sqs = boto3.client("sqs")


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
    run_id = created["headers"]["Location"].split("/")[-2]
    replayed = "Idempotency-Replayed" in created["headers"]
    if not replayed or database.run(NEEDS_MESSAGE, repeatable=True, run_id=run_id):
        _enqueue(run_id, keyed=idempotency_key is not None)
    return created


def _enqueue(run_id: str, *, keyed: bool) -> None:
    """One message, which the worker turns into one per chunk. A second one, if we are killed before the mark, does no harm."""
    try:
        sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=run_message(run_id))
    except (BotoCoreError, ClientError) as error:
        # With a key, a retry by the client also sends the message again. Without one, nobody would.
        if not keyed:
            database.run(FAIL_SEED, repeatable=True, run_id=run_id, error="The run could not be queued.")
        raise Problem(503, "The run could not be queued.", headers={"Retry-After": "1"}) from error
    if keyed:
        database.run(MARK_QUEUED, repeatable=True, run_id=run_id)


handler = app.handler
