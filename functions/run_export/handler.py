"""The worker of the queue of exports: copies rows from PostgreSQL through gzip to S3, as far as an invocation's time goes.

All that an invocation copies comes from one snapshot. It saves its progress after each part; whoever is killed is followed by
another one, which goes on from there with the numbers of parts that nobody used.
"""

from functools import partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from exporting import BUCKET, Export, TakenOver
from uploads import remove

from orders import database
from orders.connection import connect
from orders.queues import Message, work_off

TAKE_OVER, FAIL, FORGET = (
    database.load_sql(__file__, f"{name}.sql") for name in ("take_over_export", "fail_export", "forget_work")
)

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished, or go on in another message."""
    return work_off(event, context, partial(work, context=context), give_up)


def work(message: Message, context: LambdaContext) -> None:
    if "remove" in message:
        remove(BUCKET, message["remove"], message["upload"])
        database.run(FORGET, repeatable=True, outbox_id=message["outbox"])
        return
    taken = database.run(TAKE_OVER, repeatable=True, export_id=message["export"], outbox_id=message["outbox"])
    if not taken:
        logger.info("The export has been made before, or has ended", extra=message)
        database.run(FORGET, repeatable=True, outbox_id=message["outbox"])
        return
    source = connect()
    source.set_timeout(None)
    try:
        Export(message, taken[0], source).run(context)
    except TakenOver:
        logger.info("The export was taken over or cancelled", extra=message)
    finally:
        source.abandon()


def give_up(message: Message, reason: str) -> None:
    """Marks the export as failed. The removal of a file is sent again when its row's lease ends."""
    if "export" in message:
        metrics.add_metric("ExportFailed", MetricUnit.Count, 1)
        metrics.flush_metrics()
        database.run(FAIL, repeatable=True, export_id=message["export"], outbox_id=message["outbox"], error=f"It {reason}")
