"""PostgreSQL for one execution environment: one connection, every statement one batch and one round trip.

`run()` is all that a function needs. It opens the connection on first use, replaces it when it died while idle, repeats what
certainly did not run, and never repeats what may have run unless the caller says that repeating is harmless.
"""

import hashlib
import hmac
import os
import random
import select
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pg8000.converters import make_params
from pg8000.core import (
    BIND,
    CLOSE,
    DESCRIBE,
    EXECUTE_MSG,
    NULL_BYTE,
    PARSE,
    PORTAL,
    READY_FOR_QUERY,
    STATEMENT,
    SYNC_MSG,
    Context,
    H_pack,
    _create_message,
    _read,
    ci_unpack,
    i_pack,
)
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection as Pg8000Connection
from pg8000.native import to_statement

from orders.errors import DatabaseUnavailable, sqlstate

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# A failover of RDS takes longer than any request can wait; a connection that can be had comes within milliseconds.
CONNECT_TIMEOUT_SECONDS = 3.0
# Work that begins with less than this left of the invocation could be killed between its commit and its answer.
LEAST_SECONDS_FOR_WORK = 0.3
# What remains for turning a database that stays silent into an answer.
SECONDS_FOR_ANSWER = 0.2
ATTEMPTS = 4
# Between attempts, multiplied by a random factor so that clients that collided do not collide again.
RETRY_PAUSE_SECONDS = 0.02
IAM_TOKEN_SECONDS = 900

SERIALIZATION_FAILURE, DEADLOCK, LOCK_TIMEOUT = "40001", "40P01", "55P03"
READ_ONLY_TRANSACTION = "25006"
UNKNOWN_STATEMENT, STATEMENT_OUTDATED = "26000", "0A000"

# Rolled back by the server, and likely to succeed when sent again.
TRANSIENT = frozenset({SERIALIZATION_FAILURE, DEADLOCK, LOCK_TIMEOUT})

Row = list[Any]


class ConnectionLost(Exception):
    """The connection ended before the answer was complete: whether the statement ran is unknown."""


class _EchoKeys(dict[str, str]):
    """Makes pg8000's parameter binder tell the parameters' names instead of their values."""

    def __missing__(self, name: str) -> str:
        return name


@lru_cache(maxsize=256)
def _prepare(sql: str) -> tuple[bytes, bytes, tuple[str, ...]]:
    """The statement's name on the server, its text with $n, and its parameters' names in the order of $n.

    The name is a hash of the text: behind a pooler another client may have prepared it on the same server connection, and
    then the same name has to mean the same statement.
    """
    text, make_values = to_statement(sql)
    encoded = text.encode()
    name = b"orders_" + hashlib.blake2b(encoded, digest_size=16).hexdigest().encode()
    return name, encoded, make_values(_EchoKeys())


def _parse_messages(name: bytes, text: bytes) -> bytes:
    """Close before Parse: closing an unknown name is no error, and parsing a known one would be."""
    close = _create_message(CLOSE, STATEMENT + name + NULL_BYTE) if name else b""
    parse: bytes = _create_message(PARSE, name + NULL_BYTE + text + NULL_BYTE + H_pack(0))
    return close + parse


def _bind_to_sync_messages(name: bytes, values: Sequence[bytes | None]) -> bytes:
    parts = [NULL_BYTE + name + NULL_BYTE + H_pack(0) + H_pack(len(values))]
    parts.extend(i_pack(-1) if value is None else i_pack(len(value)) + value for value in values)
    parts.append(H_pack(0))
    bind: bytes = _create_message(BIND, b"".join(parts))
    describe: bytes = _create_message(DESCRIBE, PORTAL + NULL_BYTE)
    return b"".join((bind, describe, EXECUTE_MSG, SYNC_MSG))


class Connection(Pg8000Connection):  # type: ignore[misc]  # pg8000 has no type hints
    """pg8000 with Parse, Bind, Describe, Execute and Sync in one flush.

    Stock pg8000 syncs between Parse and Bind. Each Sync lets a transaction pooler hand the server connection to somebody
    else, whose statement is then the one that runs. One batch up to one Sync runs on one server connection.
    """

    def __init__(self, **options: Any) -> None:
        self.lost = False
        self._prepared: set[bytes] = set()
        self._row_descriptions: dict[bytes, tuple[list[Any], list[Any]]] = {}
        super().__init__(**options)

    def run(self, sql: str, *, named: bool = True, **params: Any) -> list[Row]:
        """Rows of one statement, in one round trip; a second one only if the server does not know the statement (any more).

        named=False plans the statement with its values each time. SQL without parameters may hold several statements.
        Raises pg8000's DatabaseError when the server refuses (the connection stays usable unless `lost` is set), and
        ConnectionLost when it went silent. A value that cannot be encoded raises UnicodeEncodeError before anything is sent.
        """
        if not params:
            return self._exchange(_create_message(b"Q", sql.encode() + NULL_BYTE), sql)
        name, text, names = _prepare(sql)
        values = [
            None if value is None else value.encode() for value in make_params(self.py_types, [params[name] for name in names])
        ]
        if not named or self.in_transaction:
            return self._exchange(_parse_messages(b"", text) + _bind_to_sync_messages(b"", values), sql)
        return self._run_named(name, text, values, sql)

    def _run_named(self, name: bytes, text: bytes, values: list[bytes | None], sql: str) -> list[Row]:
        parse, rest = _parse_messages(name, text), _bind_to_sync_messages(name, values)
        try:
            rows = self._exchange(rest if name in self._prepared else parse + rest, sql)
        except DatabaseError as error:
            if sqlstate(error) not in (UNKNOWN_STATEMENT, STATEMENT_OUTDATED):
                raise
            try:
                rows = self._exchange(parse + rest, sql)
            except DatabaseError as again:
                if sqlstate(again) != STATEMENT_OUTDATED:
                    raise
                # A pooler that keeps statements itself can hand out the outdated one once more.
                return self._exchange(_parse_messages(b"", text) + _bind_to_sync_messages(b"", values), sql)
        self._prepared.add(name)
        return rows

    @property
    def in_transaction(self) -> bool:
        return self._transaction_status in (b"T", b"E")

    def stale(self) -> bool:
        """Whether the idle connection has something to read: the server's farewell, or the end of the stream."""
        return self.lost or bool(select.select([self._usock], [], [], 0)[0])

    def set_timeout(self, seconds: float | None) -> None:
        self._usock.settimeout(seconds)

    def handle_ROW_DESCRIPTION(self, data: bytes, context: Context) -> None:  # noqa: N802 - pg8000's name
        """pg8000's, remembered: decoding it costs more than a small row."""
        if data not in self._row_descriptions:
            super().handle_ROW_DESCRIPTION(data, context)
            self._row_descriptions[data] = (context.columns, context.input_funcs)
        context.columns, context.input_funcs = self._row_descriptions[data]
        if context.rows is None:
            context.rows = []

    def _exchange(self, messages: bytes, sql: str) -> list[Row]:
        context = Context(sql)
        try:
            self._sock.write(messages)
            self._sock.flush()
            code = None
            while code != READY_FOR_QUERY:
                code, length = ci_unpack(_read(self._sock, 5))
                self.message_types[code](_read(self._sock, length - 4), context)
        except BaseException as cause:
            self.abandon()
            if context.error is not None:
                raise context.error from cause
            if isinstance(cause, InterfaceError | OSError | ValueError | AttributeError):
                raise ConnectionLost("the connection ended before the answer was complete") from cause
            raise
        if context.error is not None:
            raise context.error
        return context.rows or []

    def abandon(self) -> None:
        """Drops the connection without a word: it is no longer known what the server would understand."""
        self.lost = True
        if self._usock is None:
            return
        # Shut down first: closing the buffer would send what is left in it.
        with suppress(OSError):
            self._usock.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._sock.close()
        self._usock.close()


def iam_token(host: str, port: int, user: str, region: str, now: datetime) -> str:
    """The password of an IAM database user: a presigned URL, valid for 15 minutes, made without any call.

    What boto3's `generate_db_auth_token` makes, without importing boto3, which costs more than the rest of a cold start.
    """
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{region}/rds-db/aws4_request"
    parameters = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(IAM_TOKEN_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if session_token := os.environ.get("AWS_SESSION_TOKEN"):
        parameters["X-Amz-Security-Token"] = session_token
    query = "&".join(f"{key}={quote(value, safe='-_.~')}" for key, value in sorted(parameters.items()))
    empty_payload = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{query}\nhost:{host}:{port}\n\nhost\n{empty_payload}"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (day, region, "rds-db", "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{host}:{port}/?{query}&X-Amz-Signature={key.hex()}"


@cache
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("DATABASE_CA_FILE"))


def connect(timeout: float = CONNECT_TIMEOUT_SECONDS) -> Connection:
    """A new connection to the database that the environment names. See docs/configuration.md for the variables.

    Raises what pg8000 and the socket raise: nothing has been sent to the database then.
    """
    host, port, user = os.environ["DATABASE_HOST"], int(os.environ["DATABASE_PORT"]), os.environ["DATABASE_USER"]
    password = os.environ.get("DATABASE_PASSWORD")
    if password is None:
        password = iam_token(host, port, user, os.environ["AWS_REGION"], datetime.now(UTC))
    return Connection(
        user=user,
        password=password,
        host=host,
        port=port,
        database=os.environ["DATABASE_NAME"],
        ssl_context=_tls_context() if os.environ["DATABASE_TLS"] == "verify" else False,
        application_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "orders"),
        timeout=timeout,
    )


_connection: Connection | None = None
_deadline = float("inf")


def begin_invocation(context: "LambdaContext") -> None:
    """Bounds every wait for the database by what is left of this invocation."""
    global _deadline
    _deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000


def run(sql: str, *, repeatable: bool = False, named: bool = True, **params: Any) -> list[Row]:
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
            return connection.run(sql, named=named, **params)
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
    return Path(python_file).with_name(name).read_text(encoding="utf-8")
