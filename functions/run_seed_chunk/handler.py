"""The queue's worker: turns the message of a run into one per chunk, and each of those into rows."""

import json
import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database
from orders.errors import Problem
from orders.messages import chunk_message

CHUNK = database.load_sql(__file__, "run_seed_chunk.sql")
UNFINISHED_CHUNKS = database.load_sql(__file__, "unfinished_chunks.sql")
FAIL_RUN = database.load_sql(__file__, "fail_seed_run.sql")
QUEUE_URL = os.environ["SEED_QUEUE_URL"]
MAX_RECEIVES = int(os.environ["SEED_MAX_RECEIVES"])
SQS_BATCH = 10  # SQS's limit for SendMessageBatch
SEND_ATTEMPTS = 4

logger = Logger()
metrics = Metrics()
sqs = boto3.client("sqs")


class NotQueued(Exception):
    """SQS kept refusing messages; the run's message comes back, and the rest is sent then."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished."""
    failed = []
    for record in event["Records"]:
        database.begin_invocation(context)
        try:
            work(json.loads(record["body"]))
        except Exception as error:
            logger.exception("A seed message failed", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
            _give_up_after_last_receive(record, error)
    return {"batchItemFailures": failed}


def work(message: dict[str, Any]) -> None:
    if "chunk" in message:
        rows = database.run(CHUNK, repeatable=True, run_id=message["run"], number=message["chunk"])
        logger.info("Seeded a chunk" if rows else "The chunk was seeded before, or its run has ended", extra=message)
        return
    chunks = [row[0] for row in database.run(UNFINISHED_CHUNKS, repeatable=True, run_id=message["run"])]
    for start in range(0, len(chunks), SQS_BATCH):
        send([chunk_message(message["run"], number) for number in chunks[start : start + SQS_BATCH]])
    logger.info("Queued a seed run", extra={**message, "chunks": len(chunks)})


def send(messages: list[str]) -> None:
    """Sends up to ten messages, and again only those that SQS refused."""
    entries: Any = [{"Id": str(number), "MessageBody": message} for number, message in enumerate(messages)]
    for _ in range(SEND_ATTEMPTS):
        refused = {entry["Id"] for entry in sqs.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries).get("Failed", [])}
        entries = [entry for entry in entries if entry["Id"] in refused]
        if not entries:
            return
    raise NotQueued(f"{len(entries)} messages")


def _give_up_after_last_receive(record: dict[str, Any], error: Exception) -> None:
    """Marks the run as failed if this message now goes to the dead-letter queue."""
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    if receives < MAX_RECEIVES:
        return
    metrics.add_metric("SeedChunkFailed", MetricUnit.Count, 1)
    metrics.flush_metrics()
    reason = error.detail if isinstance(error, Problem) else "An internal error; the worker's log has it."
    try:
        message = json.loads(record["body"])
        what = f"Chunk {message['chunk']}" if "chunk" in message else "Queueing the chunks"
        database.run(FAIL_RUN, repeatable=True, run_id=message["run"], error=f"{what} failed {receives} times. {reason}")
    except Exception:
        # Not one of our messages, or no database: the dead-letter queue gets it either way, and raises its alarm.
        logger.exception("The run could not be marked as failed", extra={"message_id": record["messageId"]})
