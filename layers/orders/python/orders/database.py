"""PostgreSQL for one execution environment: one connection, kept between invocations.

`run()` is all that a function needs. It opens the connection on first use, replaces it when it died while idle, repeats what
certainly did not run, and never repeats what may have run unless the caller says that repeating is harmless.
"""

import random
import time
from typing import TYPE_CHECKING, Any

from orders.connection import CONNECT_TIMEOUT_SECONDS, Connection, ConnectionLost, Row, connect
from orders.driver import DatabaseError, InterfaceError
from orders.errors import DatabaseUnavailable, sqlstate
from orders.files import read_beside

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Work that begins with less than this left of the invocation could be killed between its commit and its answer.
LEAST_SECONDS_FOR_WORK = 0.6
# What remains for turning a database that stays silent into an answer, also where the processors are taken.
SECONDS_FOR_ANSWER = 0.5
ATTEMPTS = 4
# Between attempts, multiplied by a random factor so that clients that collided do not collide again.
RETRY_PAUSE_SECONDS = 0.02

SERIALIZATION_FAILURE, DEADLOCK, LOCK_TIMEOUT = "40001", "40P01", "55P03"
READ_ONLY_TRANSACTION = "25006"

# Rolled back by the server, and likely to succeed when sent again.
TRANSIENT = frozenset({SERIALIZATION_FAILURE, DEADLOCK, LOCK_TIMEOUT})

_connection: Connection | None = None
_deadline = float("inf")


def begin_invocation(context: "LambdaContext") -> None:
    """Bounds every wait for the database by what is left of this invocation."""
    global _deadline
    _deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000


def run(sql: str, *, repeatable: bool = False, **params: Any) -> list[Row]:
    """Rows of one statement, each a list in the order of its columns.

    repeatable says that running the statement twice is harmless (it reads, or an idempotency key guards it), so that it may be
    sent again when the connection ended before the answer. Whatever certainly did not run is sent again in any case.
    Raises DatabaseError when the server refuses the statement, DatabaseUnavailable when it cannot be had.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(RETRY_PAUSE_SECONDS * attempt * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        connection = _open_connection()
        try:
            return connection.run(sql, **params)
        except DatabaseError as error:
            if sqlstate(error) == READ_ONLY_TRANSACTION:
                # After a failover the old primary still answers, as a reader. A new connection reaches the new one.
                connection.abandon()
            elif connection.lost:
                if not repeatable:
                    raise DatabaseUnavailable("The connection to the database ended in the middle of a change.") from error
            elif sqlstate(error) not in TRANSIENT:
                raise
            failure: Exception = error
        except ConnectionLost as error:
            if not repeatable:
                raise DatabaseUnavailable("The connection to the database ended in the middle of a change.") from error
            failure = error
    raise DatabaseUnavailable("The database is busy or restarting.") from failure


def _open_connection() -> Connection:
    global _connection
    seconds = _deadline - time.monotonic() - SECONDS_FOR_ANSWER
    if seconds < LEAST_SECONDS_FOR_WORK - SECONDS_FOR_ANSWER:
        raise DatabaseUnavailable("Too little time was left to begin.")
    if _connection is None or _connection.stale():
        if _connection is not None:
            _connection.abandon()
        _connection = None
        try:
            _connection = connect(min(CONNECT_TIMEOUT_SECONDS, seconds))
        except (DatabaseError, InterfaceError, OSError) as error:
            raise DatabaseUnavailable("The database cannot be reached.") from error
    _connection.set_timeout(None if seconds == float("inf") else seconds)
    return _connection


def load_sql(python_file: str, name: str) -> str:
    """The text of a .sql file that stands beside a Python file."""
    return read_beside(python_file, name)
