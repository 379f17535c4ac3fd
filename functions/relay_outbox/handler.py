"""The relay: sends due rows of the outbox to their queues, again and again for most of a minute.

It claims rows in one statement and sends them after that has committed, so no transaction waits for SQS. If it is killed in
between, or SQS refuses a message, the rows are due again when their lease ends. Several relays at once claim different rows.
"""

import json
import os
import time
from collections import defaultdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import composers, database
from orders.batches import Messages, batches, entries
from orders.connection import Row
from orders.errors import DatabaseUnavailable
from orders.queues import url_variable

CLAIM = database.load_sql(__file__, "claim_due_rows.sql")
LEASES = os.environ["QUEUE_LEASES"]
URLS = {queue: os.environ[url_variable(queue)] for queue in json.loads(LEASES)}
ROWS_PER_CLAIM = 100
IDLE_SECONDS = 1
# Less than this is left when the last claim begins to be sent: more than SQS can keep a batch waiting.
SECONDS_TO_FINISH = 35
SECONDS_PER_BATCH = 15

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """How many messages were sent, and how many could not be: their rows wait for the end of their lease."""
    result = {"sent": 0, "unsent": 0}
    lags: list[float] = []
    while True:
        claimed = claim(context)
        rows = claimed or []
        sent, unsent = send(rows, context)
        result["sent"] += sent
        result["unsent"] += unsent
        lags += [row[3] for row in rows]
        if context.get_remaining_time_in_millis() < SECONDS_TO_FINISH * 1000:
            break
        # The fuller the claim the shorter the pause, so that much work waits for nothing, and little is done in few passes.
        time.sleep(IDLE_SECONDS * (1 - len(rows) / ROWS_PER_CLAIM))
    if claimed is not None:
        metrics.add_metric("OutboxLag", MetricUnit.Seconds, max(lags, default=0))
    metrics.add_metric("OutboxUnsent", MetricUnit.Count, result["unsent"])
    metrics.flush_metrics()
    return result


def claim(context: LambdaContext) -> list[Row] | None:
    """Rows that are this relay's to send. None while the database cannot be reached, which is no reason to end."""
    database.begin_invocation(context)
    try:
        composers.admit()
        return database.run(CLAIM, repeatable=True, batch=ROWS_PER_CLAIM, leases=LEASES)
    except DatabaseUnavailable as reason:
        logger.warning("The outbox cannot be read", extra={"cause": repr(reason.__cause__)})
        return None


def send(rows: list[Row], context: LambdaContext) -> tuple[int, int]:
    """Sends the claimed rows; returns how many SQS has and how many not. Some need not be sent, or not yet."""
    by_queue: dict[str, Messages] = defaultdict(dict)
    for queue, identifier, body, _ in rows:
        by_queue[queue][str(identifier)] = body
    sent, unsent = 0, 0
    for queue, claimed in by_queue.items():
        messages = composers.compose(queue, claimed)
        if messages is None:
            unsent += len(claimed)
            continue
        for batch in batches(messages):
            sent += len(batch)
            if refused := send_batch(queue, batch, context):
                logger.error("Messages were not sent", extra={"queue": queue, "refused": refused})
                sent -= len(refused)
                unsent += len(refused)
    if rows:
        logger.info("Sent messages", extra={"sent": sent})
    return sent, unsent


def send_batch(queue: str, batch: Messages, context: LambdaContext) -> dict[str, str]:
    """The reason for each message that SQS does not have, by its id."""
    if queue not in URLS:
        return dict.fromkeys(batch, "no such queue")
    if context.get_remaining_time_in_millis() < SECONDS_PER_BATCH * 1000:
        return dict.fromkeys(batch, "no time left")
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see sqs()

    try:
        answer = sqs().send_message_batch(QueueUrl=URLS[queue], Entries=entries(batch, URLS[queue]))
    except (BotoCoreError, ClientError) as error:
        # Whether SQS has them is unknown; a second time does no harm.
        return dict.fromkeys(batch, repr(error))
    return {entry["Id"]: entry["Code"] for entry in answer.get("Failed", [])}


@cache
def sqs() -> Any:
    """Imported when there is something to send: it takes half of an idle relay's memory."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2}))
