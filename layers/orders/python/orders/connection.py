"""A connection to PostgreSQL on which every statement is one batch and one round trip."""

import hashlib
import os
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from orders.driver import Connection as Pg8000Connection
from orders.driver import DatabaseError, InterfaceError, core, make_params, to_statement
from orders.errors import sqlstate
from orders.iam import iam_token

if TYPE_CHECKING:
    from ssl import SSLContext

# A failover of RDS takes longer than any request can wait; a connection that can be had comes within milliseconds.
CONNECT_TIMEOUT_SECONDS = 3.0
UNKNOWN_STATEMENT, STATEMENT_OUTDATED = "26000", "0A000"

# pg8000's building blocks of the protocol.
BIND, CLOSE, DESCRIBE, PARSE, EXECUTE, SYNC = core.BIND, core.CLOSE, core.DESCRIBE, core.PARSE, core.EXECUTE_MSG, core.SYNC_MSG
NULL_BYTE, PORTAL, STATEMENT, READY_FOR_QUERY = core.NULL_BYTE, core.PORTAL, core.STATEMENT, core.READY_FOR_QUERY
create_message, read = core._create_message, core._read
pack_short, pack_int, unpack_head = core.H_pack, core.i_pack, core.ci_unpack

Row = list[Any]


class ConnectionLost(Exception):
    """The connection ended before the answer was complete: whether the statement ran is unknown."""


class _EchoKeys(dict[str, str]):
    """Makes pg8000's parameter binder tell the parameters' names instead of their values."""

    def __missing__(self, name: str) -> str:
        return name


@lru_cache(maxsize=256)
def parse(sql: str) -> tuple[bytes, bytes, tuple[str, ...]]:
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
    close = create_message(CLOSE, STATEMENT + name + NULL_BYTE) if name else b""
    parse: bytes = create_message(PARSE, name + NULL_BYTE + text + NULL_BYTE + pack_short(0))
    return close + parse


def _bind_to_sync_messages(name: bytes, values: Sequence[bytes | None]) -> bytes:
    parts = [NULL_BYTE + name + NULL_BYTE + pack_short(0) + pack_short(len(values))]
    parts.extend(pack_int(-1) if value is None else pack_int(len(value)) + value for value in values)
    parts.append(pack_short(0))
    bind: bytes = create_message(BIND, b"".join(parts))
    describe: bytes = create_message(DESCRIBE, PORTAL + NULL_BYTE)
    return b"".join((bind, describe, EXECUTE, SYNC))


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
        self._readable = select.poll()
        self._readable.register(self._usock, select.POLLIN)

    def run(self, sql: str, **params: Any) -> list[Row]:
        """Rows of one statement, in one round trip; a second one only if the server does not know the statement (any more).

        SQL without parameters may hold several statements.
        Raises pg8000's DatabaseError when the server refuses (the connection stays usable unless `lost` is set), and
        ConnectionLost when it went silent. A value that cannot be encoded raises UnicodeEncodeError before anything is sent.
        """
        if not params:
            return self._exchange(create_message(b"Q", sql.encode() + NULL_BYTE), sql)
        name, text, names = parse(sql)
        values = [
            None if value is None else value.encode() for value in make_params(self.py_types, [params[name] for name in names])
        ]
        if self.in_transaction:
            return self._exchange(_parse_messages(b"", text) + _bind_to_sync_messages(b"", values), sql)
        return self._run_named(name, text, values, sql)

    def copy(self, sql: str, stream: Any) -> int:
        """Writes what a COPY … TO STDOUT sends to the stream, row by row; returns the number of rows."""
        context = core.Context(sql, stream=stream)
        self._exchange(create_message(b"Q", sql.encode() + NULL_BYTE), sql, context)
        count: int = context.row_count
        return count

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
        return self.lost or bool(self._readable.poll(0))

    def set_timeout(self, seconds: float | None) -> None:
        self._usock.settimeout(seconds)

    def handle_ROW_DESCRIPTION(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name
        """pg8000's, remembered: decoding it costs more than a small row."""
        if data not in self._row_descriptions:
            super().handle_ROW_DESCRIPTION(data, context)
            self._row_descriptions[data] = (context.columns, context.input_funcs)
        context.columns, context.input_funcs = self._row_descriptions[data]
        if context.rows is None:
            context.rows = []

    def handle_ERROR_RESPONSE(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000's name
        """pg8000's, without DETAIL: it quotes rows, and tracebacks are logged."""
        super().handle_ERROR_RESPONSE(data, context)
        context.error.args[0].pop("D", None)

    def _exchange(self, messages: bytes, sql: str, context: Any = None) -> list[Row]:
        context = context or core.Context(sql)
        try:
            self._sock.write(messages)
            self._sock.flush()
            code = None
            while code != READY_FOR_QUERY:
                code, length = unpack_head(read(self._sock, 5))
                self.message_types[code](read(self._sock, length - 4), context)
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


@cache
def _tls_context() -> "SSLContext":
    import ssl  # noqa: PLC0415 - a fifth of the import of everything, and the laptop's database speaks without it

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
