"""Records what came of an attempt to send a mail, and makes the next one due."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database
from orders.queues import Message, work_off

SETTLE = database.load_sql(__file__, "settle_mail.sql")
# In seconds, how long to wait after each attempt, give or take a fifth; after the last of them again and again. The relay ends
# it, a day after the event.
PAUSES = [5, 15, 60, 300, 900, 1800, 3600]

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished."""
    try:
        return work_off(event, context, settle)
    finally:
        metrics.add_metric("MailsUnsent", MetricUnit.Count, 0)
        metrics.flush_metrics()


def settle(report: Message) -> None:
    rows = database.run(SETTLE, repeatable=True, **report, pauses=PAUSES)
    for status, seconds in rows:
        metrics.add_metric("MailsSent", MetricUnit.Count, int(status == "sent"))
        metrics.add_metric("MailsUnsent", MetricUnit.Count, int(status != "sent"))
        metrics.add_metric("MailDelay", MetricUnit.Seconds, seconds)
    logger.info("Settled" if rows else "Settled before", extra=report)
