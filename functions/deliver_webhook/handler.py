"""Sends webhooks, as the relay composed them, and reports what came of each through a queue: here is no database."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from orders.posting import post
from orders.queues import url_variable

REPORTS = url_variable("webhook_reports")
# Less than the relay's lease, after which it composes the message anew, and than the five minutes of receivers' tolerance.
MOST_SECONDS_OLD = 120

logger = Logger()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages about which nothing could be reported."""
    records = event["Records"]
    # All at once: nobody waits for another's receiver.
    with ThreadPoolExecutor(len(records)) as pool:
        done = list(pool.map(deliver, records))
    failed = [record["messageId"] for record, reported in zip(records, done, strict=True) if not reported]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def deliver(record: dict[str, Any]) -> bool:
    try:
        message = json.loads(record["body"])
        if time.time() - message["timestamp"] > MOST_SECONDS_OLD:
            # Its signature would be out of date, and soon it is sent anew.
            return True
        headers = {
            "webhook-id": message["id"],
            "webhook-timestamp": str(message["timestamp"]),
            "webhook-signature": message["signature"],
        }
        outcome = post(message["url"], headers, message["body"].encode())
        report = {name: message[name] for name in ("outbox", "delivery", "round", "attempt")}
        sqs().send_message(QueueUrl=os.environ[REPORTS], MessageBody=json.dumps({**report, **outcome._asdict()}))
        # Not the URL, which may hold a secret of the receiver's.
        told = {"delivery": message["delivery"], "status_code": outcome.status_code, "duration_ms": outcome.duration_ms}
        logger.info("Sent a webhook", extra=told)
    except Exception:
        logger.exception("A message failed", extra={"message_id": record["messageId"]})
        return False
    return True


@cache
def sqs() -> Any:
    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2}))
