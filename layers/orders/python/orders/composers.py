"""What the relay does for queues whose workers have no database: it reads what they are told, and uses secrets for them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from aws_lambda_powertools import Logger

from orders import compose_mails, compose_webhooks
from orders.batches import Messages
from orders.driver import DatabaseError
from orders.errors import DatabaseUnavailable

# By queue: from its claimed rows of the outbox to what is sent. They delete rows of no use.
COMPOSERS: dict[str, Callable[[list[int]], Iterator[dict[str, Any]]]] = {
    "webhooks": compose_webhooks.compose,
    "mail": compose_mails.compose,
}
# Before each claim: they add rows for work that had to wait outside of the outbox.
ADMISSIONS: dict[str, Callable[[], None]] = {"webhooks": compose_webhooks.admit, "mail": compose_mails.admit}

logger = Logger()


def compose(queue: str, claimed: Messages) -> Messages | None:
    """What is sent for these rows; None if that cannot be said now, and their leases have to end first."""
    if queue not in COMPOSERS:
        return claimed
    try:
        composed = COMPOSERS[queue]([int(row) for row in claimed])
        return {str(message["outbox"]): json.dumps(message, ensure_ascii=False) for message in composed}
    except (DatabaseUnavailable, DatabaseError) as reason:
        logger.error("Messages were not composed", extra={"queue": queue, "cause": type(reason).__name__})
        return None


def admit() -> None:
    """One queue's fault must not keep the others' rows waiting. Raises DatabaseUnavailable."""
    for queue, admission in ADMISSIONS.items():
        try:
            admission()
        except DatabaseError as reason:
            logger.error("Nothing was admitted", extra={"queue": queue, "cause": type(reason).__name__})
