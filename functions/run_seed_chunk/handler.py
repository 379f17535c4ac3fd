"""The worker of the seeding queue: turns each message into the rows of one chunk."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database
from orders.queues import Message, work_off

CHUNK = database.load_sql(__file__, "run_seed_chunk.sql")
FAIL_RUN = database.load_sql(__file__, "fail_seed_run.sql")
ADOPT_RUN = database.load_sql(__file__, "adopt_seed_run.sql")

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished."""
    return work_off(event, context, work, give_up)


def work(message: Message) -> None:
    if "outbox" not in message:
        # From the release before, which sends messages about runs and chunks itself.
        database.run(ADOPT_RUN, repeatable=True, run_id=message["run"])
        return
    rows = database.run(CHUNK, repeatable=True, outbox_id=message["outbox"], run_id=message["run"], number=message["chunk"])
    logger.info("Seeded a chunk" if rows else "The chunk was seeded before, or its run has ended", extra=message)


def give_up(message: Message, reason: str) -> None:
    """Marks the run as failed."""
    metrics.add_metric("SeedChunkFailed", MetricUnit.Count, 1)
    metrics.flush_metrics()
    error = f"Chunk {message['chunk']} {reason}"
    database.run(FAIL_RUN, repeatable=True, outbox_id=message["outbox"], run_id=message["run"], error=error)
