"""Sends webhooks, as the relay composed them, and reports what came of each through a queue: here is no database."""

import json
import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orders.batches import Messages, batches, entries
from orders.posting import post
from orders.queues import url_variable

REPORTS = url_variable("webhook_reports")
# Less than the relay's lease, after which it composes the message anew, and than the five minutes of receivers' tolerance.
MOST_SECONDS_OLD = 120
# For so long the report of an answer waits for others.
TOGETHER_SECONDS = 0.2

logger = Logger()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages about which nothing could be reported."""
    failed: list[str] = []
    # All at once: nobody waits for another's receiver.
    with ThreadPoolExecutor(len(event["Records"])) as pool:
        waiting = {pool.submit(deliver, record): record["messageId"] for record in event["Records"]}
        while waiting:
            wait(waiting, return_when=FIRST_COMPLETED)
            # Those that answer at about the same time are reported at once, in a tenth of the calls.
            answered, _ = wait(waiting, timeout=TOGETHER_SECONDS)
            failed += report({waiting.pop(each): each for each in answered})
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def deliver(record: dict[str, Any]) -> str | None:
    """What is reported, if anything."""
    message = json.loads(record["body"])
    if time.time() - message["timestamp"] > MOST_SECONDS_OLD:
        # Its signature would be out of date, and soon it is sent anew.
        return None
    headers = {
        "webhook-id": message["id"],
        "webhook-timestamp": str(message["timestamp"]),
        "webhook-signature": message["signature"],
    }
    outcome = post(message["url"], headers, message["body"].encode())
    # Not the URL, which may hold a secret of the receiver's.
    told = {"delivery": message["delivery"], "status_code": outcome.status_code, "duration_ms": outcome.duration_ms}
    logger.info("Sent a webhook", extra=told)
    known = {name: message[name] for name in ("outbox", "delivery", "round", "attempt")}
    return json.dumps({**known, **outcome._asdict()})


def report(answered: dict[str, Future[str | None]]) -> list[str]:
    """The ids of the messages of which the queue has no report."""
    reports: Messages = {}
    failed: list[str] = []
    for identifier, outcome in answered.items():
        try:
            if (text := outcome.result()) is not None:
                reports[identifier] = text
        except Exception:
            failed.append(identifier)
            logger.exception("A message failed", extra={"message_id": identifier})
    for batch in batches(reports):
        try:
            answer = sqs().send_message_batch(QueueUrl=os.environ[REPORTS], Entries=entries(batch, os.environ[REPORTS]))
        except (BotoCoreError, ClientError):
            logger.exception("Nothing was reported", extra={"message_ids": list(batch)})
            failed += batch
            continue
        if refused := {entry["Id"]: entry["Code"] for entry in answer.get("Failed", [])}:
            logger.error("Nothing was reported", extra={"refused": refused})
            failed += refused
    return failed


@cache
def sqs() -> Any:
    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2}))
