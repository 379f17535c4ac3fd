"""Records what came of an attempt to deliver a webhook, and makes the next one due."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database
from orders.queues import Message, work_off

SETTLE = database.load_sql(__file__, "settle_webhook.sql")
# How long to wait after each attempt, give or take a fifth; a delivery fails for good three days after it was due.
PAUSES = [5, 30, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
HOURS_TO_DELIVER = 72
# A webhook is disabled when nothing has succeeded for that long, and at least so many attempts have failed.
HOURS_TO_DISABLE, FAILURES_TO_DISABLE = 72, 10

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished."""
    try:
        return work_off(event, context, settle)
    finally:
        metrics.add_metric("WebhookAttempts", MetricUnit.Count, 0)
        metrics.flush_metrics()


def settle(report: Message) -> None:
    rows = database.run(
        SETTLE,
        repeatable=True,
        **report,
        pauses=PAUSES,
        hours=HOURS_TO_DELIVER,
        disable_hours=HOURS_TO_DISABLE,
        disable_failures=FAILURES_TO_DISABLE,
    )
    metrics.add_metric("WebhookAttempts", MetricUnit.Count, len(rows))
    for status, disabled in rows:
        metrics.add_metric("WebhookAttemptsFailed", MetricUnit.Count, int(status != "succeeded"))
        metrics.add_metric("WebhooksDisabled", MetricUnit.Count, int(disabled))
    logger.info("Settled" if rows else "Settled before", extra={"delivery": report["delivery"], "attempt": report["attempt"]})
