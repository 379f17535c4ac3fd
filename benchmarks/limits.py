"""What nothing above PostgreSQL can beat: its statements sent from C (pgbench), bare inserts and COPY. Also a cache's answer.

The statements are not copied from the functions' folders: a tap between a function and PostgreSQL records them.
"""

import json
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.data import Data, variables
from benchmarks.events import Call
from benchmarks.scenarios import Scenario
from benchmarks.workers import OURS, PEERS, PEERS_PYTHON, WORKER, Implementation
from local.postgres import Server, binaries, free_port

START_SECONDS = 10
# pgbench waits between its calls, as each implementation does while the others have their turn.
CALLS_PER_SECOND = 150


class LimitFailed(Exception):
    """pgbench refused a statement; the message is pgbench's."""


@dataclass
class Statement:
    """name: of the prepared statement; empty if it is planned with its values each time."""

    name: str
    text: str
    values: list[str | None] = field(default_factory=list)


class Tap:
    """Forwards the traffic between a function and PostgreSQL, and records the statements."""

    def __init__(self, server: Server) -> None:
        self.target = (server.host, server.port)
        self.statements: list[Statement] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            self._listen(client, server)

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        heard = b""
        # The first message of a session has no type byte.
        kind_bytes = 0
        while data := client.recv(65536):
            heard += data
            while len(heard) >= kind_bytes + 4:
                end = kind_bytes + struct.unpack_from("!i", heard, kind_bytes)[0]
                if len(heard) < end:
                    break
                self._note(heard[:kind_bytes], heard[kind_bytes + 4 : end])
                heard, kind_bytes = heard[end:], 1
            # Only now: once the function has its answer, nobody waits for this thread.
            server.sendall(data)

    def _note(self, kind: bytes, content: bytes) -> None:
        if kind == b"P":
            name, text, _ = content.split(b"\0", 2)
            self.statements.append(Statement(name.decode(), text.decode()))
        if kind == b"B":
            _, name, rest = content.split(b"\0", 2)
            formats = struct.unpack_from("!h", rest)[0]
            count, at = struct.unpack_from("!h", rest, 2 + 2 * formats)[0], 4 + 2 * formats
            values: list[str | None] = []
            for _ in range(count):
                length = struct.unpack_from("!i", rest, at)[0]
                values.append(None if length < 0 else rest[at + 4 : at + 4 + length].decode())
                at += 4 + max(length, 0)
            next(each for each in reversed(self.statements) if each.name == name.decode()).values = values


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def statements_of(data: Data, call: Call, log: Path) -> list[Statement]:
    """The statements that our function sends to PostgreSQL for a call."""
    tap = Tap(data.server)
    worker = OURS.start({**variables(data.server), "DATABASE_PORT": str(tap.port)}, log, call.function)
    worker.call(OURS.message(call))
    worker.stop()
    tap.stop()
    if not tap.statements:
        raise LimitFailed(f"{call.function} sent no statement")
    return tap.statements


def pgbench(data: Data, scenario: Scenario, rounds: int, seconds: float, log: Path) -> float:
    """The median time in seconds of the scenario's statements without any service above them."""
    call = scenario.call()
    statements = statements_of(data, call, log)
    # Statements that the function plans with their values each time, pgbench plans so, too.
    mode = "prepared" if all(each.name for each in statements) else "extended"
    given, script = script_of(data, scenario, call, statements, rounds)
    options = ["-c1", f"-M{mode}", f"--rate={CALLS_PER_SECOND}"]
    options.append(f"-t{rounds}" if scenario.writes else f"-T{max(1, round(seconds / 4))}")
    # Microseconds since a transaction was due, minus its delayed start. If pgbench finds the answer there as soon as it has
    # sent the statement, it does not look at the clock in between, and its zero says nothing about how long that took.
    taken = [int(line[2]) - int(line[6]) for line in run_pgbench(data.server, options, given, script)]
    return statistics.median(microseconds for microseconds in taken if microseconds > 0) / 1e6


def run_pgbench(server: Server, options: list[str], given: dict[str, str], script: str) -> list[list[str]]:
    """given: pgbench's variables. The columns of its log, a line per transaction; LimitFailed if it refuses."""
    connection = variables(server)
    environment = {
        **os.environ,
        "PGHOST": connection["DATABASE_HOST"],
        "PGPORT": connection["DATABASE_PORT"],
        "PGUSER": connection["DATABASE_USER"],
        "PGPASSWORD": connection["DATABASE_PASSWORD"],
        "PGDATABASE": connection["DATABASE_NAME"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script)
        command = [str(binaries() / "pgbench"), "-n", "-l", f"--log-prefix={folder / 'times'}", *options]
        command += [f"-D{variable}={value}" for variable, value in given.items()]
        done = subprocess.run([*command, "-f", str(folder / "script.sql")], env=environment, capture_output=True, check=False)
        if done.returncode:
            raise LimitFailed(done.stderr.decode())
        return [line.split() for times in folder.glob("times.*") for line in times.read_text().splitlines()]


def script_of(
    data: Data, scenario: Scenario, call: Call, statements: list[Statement], rounds: int
) -> tuple[dict[str, str], str]:
    """pgbench's variables and its form of the statements, with a new id each time if the scenario has one."""
    given: dict[str, str] = {}
    lines = []
    body = json.loads(call.event.get("body") or "{}")
    identifier = str(call.event.get("pathParameters", {}).get("order_id") or body.get("customer_id") or "")
    if scenario.name in ("cancel", "pay"):
        orders = list(islice(data.cancellable, rounds))
        given["id"] = str(orders[0] - 1)
        lines = [r"\set id :id + 1"]
    elif identifier:
        low, high = data.customers if scenario.writes else data.orders
        lines = [rf"\set id random({low}, {high})"]
    for number, statement in enumerate(statements):
        # pgbench would take the colon of a text such as 'HH24:MI' for a variable's.
        text = re.sub(r"(?<!:):(?=\w)", ":' || '", statement.text)
        # From the last to the first, as $10 contains $1.
        for position, value in reversed(list(enumerate(statement.values, start=1))):
            variable = "id" if value == identifier else f"v{number}_{position}"
            if value and variable != "id":
                given[variable] = value
            # A variable of pgbench cannot be null or empty.
            text = text.replace(f"${position}", f":{variable}" if value else "NULL" if value is None else "''")
        lines.append(f"{text.strip()};")
    return given, "\n".join(lines)


@contextmanager
def redis(summary: str, folder: Path) -> Iterator[Implementation | None]:
    """A cache that contains the summary's body, read through the usual client; None if redis-server is not installed."""
    program = shutil.which("redis-server")
    if program is None or not PEERS_PYTHON.exists():
        yield None
        return
    port = free_port()
    process = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _store(port, summary)
        command = (str(PEERS_PYTHON), str(WORKER), f"app={PEERS / 'redis'}")
        yield Implementation("redis", "Redis GET", command, PEERS_PYTHON, environment={"REDIS_PORT": str(port)})
    finally:
        process.terminate()
        process.wait()


def _store(port: int, summary: str) -> None:
    body = summary.encode()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"*3\r\n$3\r\nSET\r\n$7\r\nsummary\r\n$%d\r\n%s\r\n" % (len(body), body))
                assert connection.recv(5) == b"+OK\r\n"
                return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def bare_inserts(server: Server, last_customer: int) -> dict[str, float]:
    """Seconds that PostgreSQL needs for the rows of all customers after that one: with foreign keys, indexes and checks, but
    no triggers; and by COPY into tables without any of these."""
    connection = server.connect(timeout=3600)
    orders = f"SELECT * FROM orders WHERE customer_id > {last_customer}"
    rows = {
        "customers": f"SELECT * FROM customers WHERE id > {last_customer}",
        "orders": orders,
        "order_items": f"SELECT i.* FROM order_items AS i JOIN ({orders}) AS o ON o.id = i.order_id",
    }
    taken = {"bare insert": 0.0, "COPY": 0.0}
    for table, query in rows.items():
        connection.run(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
        connection.run(f"CREATE UNLOGGED TABLE rows_of_{table} AS {query} ORDER BY id")
    connection.run("ALTER TABLE bare_orders ADD FOREIGN KEY (customer_id) REFERENCES bare_customers")
    connection.run("ALTER TABLE bare_order_items ADD FOREIGN KEY (order_id) REFERENCES bare_orders")
    for table in rows:
        start = time.perf_counter()
        connection.run(f"INSERT INTO bare_{table} OVERRIDING SYSTEM VALUE SELECT * FROM rows_of_{table}")
        taken["bare insert"] += time.perf_counter() - start
    for table in rows:
        connection.run(f"CREATE TABLE copied_{table} AS SELECT * FROM {table} WITH NO DATA")
        with tempfile.NamedTemporaryFile(suffix=".copy") as file:
            # PostgreSQL may run as another user.
            Path(file.name).chmod(0o666)
            connection.run(f"COPY rows_of_{table} TO '{file.name}'")
            start = time.perf_counter()
            connection.run(f"COPY copied_{table} FROM '{file.name}'")
            taken["COPY"] += time.perf_counter() - start
        connection.run(f"DROP TABLE copied_{table}, rows_of_{table}")
    connection.run("DROP TABLE bare_order_items, bare_orders, bare_customers")
    connection.close()
    return taken
