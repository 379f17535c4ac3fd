"""Sends mails, as the relay composed them, by SES, and reports what came of each through a queue: here is no database."""

import json
import os
import re
import time
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orders.mail_message import Mails, Unmailable
from orders.queues import url_variable

REPORTS = url_variable("mail_reports")
# What is wrong with the mail itself, and stays wrong. Everything else passes, or an operator mends it: it is tried again. So is
# what SES rejects because it has not verified the sender, or, in its sandbox, the recipient.
PERMANENT, UNVERIFIED = ("MessageRejected", "BadRequestException"), "is not verified"
# SES quotes addresses in its reasons, and nobody could erase them there.
ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
MOST_CHARACTERS = 500
# One mail needs less, and nothing is sent that could not be reported.
SECONDS_PER_MAIL = 15
# Each attempt is one call, which settle_mail counts.
ONCE = Config(connect_timeout=3, read_timeout=8, retries={"total_max_attempts": 1})

logger = Logger()
# What SES has accepted and could not be reported: such a message comes again, and is not for SES. By mail and attempt.
accepted: dict[tuple[int, int], "Outcome"] = {}


class Outcome(NamedTuple):
    """status: what becomes of the mail; queued if it is to be tried again."""

    status: str
    message_id: str | None = None
    error: str | None = None


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages about which nothing could be reported."""
    failed = [record["messageId"] for record in event["Records"] if not deliver(record, context)]
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def deliver(record: dict[str, Any], context: LambdaContext) -> bool:
    if context.get_remaining_time_in_millis() < SECONDS_PER_MAIL * 1000:
        return False
    try:
        message = json.loads(record["body"])
        key = (message["mail"], message["attempt"])
        if key not in accepted and time.time() > message["until"]:
            # The relay composes it anew, for a customer who may have been erased meanwhile.
            return True
        outcome = accepted.get(key) or send(message)
        if outcome.status == "sent":
            accepted[key] = outcome
        report = {name: message[name] for name in ("outbox", "mail", "attempt")}
        sqs().send_message(QueueUrl=os.environ[REPORTS], MessageBody=json.dumps({**report, **outcome._asdict()}))
        accepted.pop(key, None)
        logger.info("Reported", extra={**report, **outcome._asdict()})
    except Exception:
        logger.exception("A message failed", extra={"message_id": record["messageId"]})
        return False
    return True


def send(message: dict[str, Any]) -> Outcome:
    tags = {"mail": str(message["mail"]), "address_hash": message["address_hash"]}
    try:
        mail = mails().write(message)
        answer = ses().send_email(
            FromEmailAddress=mails().sender.addr_spec,
            Destination={"ToAddresses": [str(mail["To"])]},
            Content={"Raw": {"Data": mail.as_bytes()}},
            ConfigurationSetName=os.environ["MAIL_CONFIGURATION_SET"],
            EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
        )
    except Unmailable as reason:
        return Outcome("failed", error=str(reason))
    except ClientError as refusal:
        code, text = refusal.response["Error"]["Code"], refusal.response["Error"].get("Message", "")
        error = f"SES answered {code}: {ADDRESS.sub('…', text)}"[:MOST_CHARACTERS]
        return Outcome("failed" if code in PERMANENT and UNVERIFIED not in text else "queued", error=error)
    except BotoCoreError as failure:
        # Whether SES has it is unknown. Twice is better than never.
        return Outcome("queued", error=f"No answer from SES: {type(failure).__name__}")
    return Outcome("sent", message_id=answer["MessageId"])


@cache
def mails() -> Mails:
    return Mails(os.environ["MAIL_FROM"], Path(__file__).with_name("templates"))


@cache
def ses() -> Any:
    return boto3.client("sesv2", config=ONCE)


@cache
def sqs() -> Any:
    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 2}))
