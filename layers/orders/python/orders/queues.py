"""What workers of queues share. A message holds what its outbox row does, and the row's id as `outbox`.

It may arrive any number of times, in any order: a worker deletes the row in the statement that does the work, and if there is
no row it has nothing to do.
"""

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orders import database
from orders.connection import ConnectionLost
from orders.driver import DatabaseError
from orders.errors import DatabaseUnavailable, Problem, from_database, sqlstate
from orders.logs import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Message = dict[str, Any]
QUERY_CANCELED = "57014"


def url_variable(queue: str) -> str:
    """The environment variable that holds a queue's URL."""
    return f"{queue.upper()}_QUEUE_URL"


def work_off(
    event: dict[str, Any],
    context: "LambdaContext",
    work: Callable[[Message], None],
    give_up: Callable[[Message, str], None] | None = None,
) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished.

    give_up gets a message that has failed for the last time, and the reason: it now goes to the dead-letter queue. Not one that
    failed for want of the database: that says nothing of the message, whose row in the outbox stays, and is sent again. None
    where nobody has to be told.
    """
    failed = []
    for record in event["Records"]:
        database.begin_invocation(context)
        try:
            work(json.loads(record["body"]))
        except Exception as error:
            logger().exception("A message failed", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
            last = int(record["attributes"]["ApproximateReceiveCount"]) >= int(os.environ["QUEUE_MAX_RECEIVES"])
            if give_up is not None and last and not _database_is_away(error):
                _give_up(record, error, give_up)
    return {"batchItemFailures": failed}


def _database_is_away(error: Exception) -> bool:
    if isinstance(error, DatabaseError):
        # A statement that takes too long is the message's own fault.
        return sqlstate(error) != QUERY_CANCELED and isinstance(from_database(error), DatabaseUnavailable)
    return isinstance(error, (DatabaseUnavailable, ConnectionLost))


def _give_up(record: dict[str, Any], error: Exception, give_up: Callable[[Message, str], None]) -> None:
    receives = record["attributes"]["ApproximateReceiveCount"]
    reason = error.detail if isinstance(error, Problem) else "An internal error; the worker's log has it."
    try:
        give_up(json.loads(record["body"]), f"failed {receives} times. {reason}")
    except Exception:
        # Not one of our messages, or no database: the dead-letter queue gets it either way, and raises its alarm.
        logger().exception("A message could not be given up", extra={"message_id": record["messageId"]})
