"""A worker of ours (see worker.py) that does only a part of what its function does, which shows where the time of a call goes.

`DEPTH=… python -m benchmarks.depths NAME=FOLDER`. The function answers the first request to a path with a query, and the
statement that it sends is remembered. Later requests only repeat that statement and get an empty answer:
    DEPTH=statement   its messages go to the function's connection, and the server's answer is read to its end
    DEPTH=driver      the driver sends it, and makes rows of the answer
"""

import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from benchmarks import worker
from orders.connection import Connection, _bind_to_sync_messages, parse
from orders.driver import make_params

READY_FOR_QUERY = b"Z\x00\x00\x00\x05"
RECEIVED_AT_ONCE = 1 << 18
# By path and query.
repetitions: dict[tuple[str, str], Callable[[], object]] = {}


def call(message: dict[str, Any]) -> Any:
    event = message["event"]
    key = (event["routeKey"], event["rawQueryString"])
    if key in repetitions:
        repetitions[key]()
        return {"statusCode": 200}
    with patch.object(Connection, "run", autospec=True, side_effect=Connection.run) as run:
        given = worker.load(message["function"])(event, worker.Context())
    [connection, sql], params = run.call_args.args, dict(run.call_args.kwargs)
    repetitions[key] = DEPTHS[os.environ["DEPTH"]](connection, sql, params)
    return given


def _driver(connection: Connection, sql: str, params: dict[str, Any]) -> Callable[[], object]:
    return lambda: connection.run(sql, **params)


def _statement(connection: Connection, sql: str, params: dict[str, Any]) -> Callable[[], object]:
    name, _, names = parse(sql)
    values = make_params(connection.py_types, [params[name] for name in names])
    messages = _bind_to_sync_messages(name, [None if value is None else value.encode() for value in values])
    socket = connection._usock

    def exchange() -> None:
        socket.sendall(messages)
        while socket.recv(RECEIVED_AT_ONCE)[-6:-1] != READY_FOR_QUERY:
            pass

    return exchange


DEPTHS = {"statement": _statement, "driver": _driver}
worker.call = call
worker.main()
