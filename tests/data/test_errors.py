"""Every SQLSTATE in the table, provoked in a real PostgreSQL."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drill.servers import wait_until
from local.postgres import EmbeddedPostgres
from orders.connection import Connection
from orders.driver import DatabaseError
from orders.errors import CONSTRAINTS, SQLSTATES, from_database, sqlstate
from tests.harness import Database

CUSTOMER = "INSERT INTO customers (id, email, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a@b.de', 'A');"
OTHER_CUSTOMER = "INSERT INTO customers (id, email, name) OVERRIDING SYSTEM VALUE VALUES (2, 'b@b.de', 'B');"
ORDER = "INSERT INTO orders (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (1, 1);"
RENAME = "UPDATE customers SET name = name || '!' WHERE id = "
# A full disk, and the crash of another process, of which sessions are only warned: raised by code, handled alike.
RAISED = {"53100", "57P02"}
STATEMENTS = {
    "22003": "SELECT 9223372036854775807 + 1",
    "22021": "SELECT convert_from('\\x00', 'UTF8')",
    "22P02": "SELECT 'x'::bigint",
    "22P05": "SELECT '\"\\u0000\"'::jsonb",
    "23001": CUSTOMER + ORDER + "DELETE FROM customers",
    "23503": "INSERT INTO orders (customer_id) VALUES (999)",
    "23505": CUSTOMER + "INSERT INTO customers (email, name) VALUES ('A@b.de', 'A')",
    "23514": CUSTOMER + "UPDATE customers SET name = ''",
    "25006": "BEGIN READ ONLY; DELETE FROM orders",
    # More locks than fit into shared memory.
    "53200": "SELECT pg_advisory_xact_lock(number) FROM generate_series(1, 1000000) AS number",
    "57014": "SET statement_timeout = 1; SELECT pg_sleep(60)",
    "57P01": "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)",
    **{code: f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$" for code in RAISED},
}
# What servers before PostgreSQL 18 report instead.
FORMERLY = {"23001": "23503"}


def state(db: Database, connection: Connection, code: str) -> None:
    connection.run(STATEMENTS[code])


def change_what_another_has_changed(db: Database, connection: Connection, code: str) -> None:
    db.sql(CUSTOMER)
    connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM customers")
    db.sql(f"{RENAME} 1")
    connection.run(f"{RENAME} 1")


def wait_for_each_other(db: Database, connection: Connection, code: str) -> None:
    """The other connection never checks for deadlocks, so that this one detects it."""
    db.sql(CUSTOMER + OTHER_CUSTOMER)
    connection.run(f"SET deadlock_timeout = 10; BEGIN; {RENAME} 1")
    with closing(db.server.connect(timeout=30)) as other:
        [[pid]] = other.run("SELECT pg_backend_pid()")
        other.run(f"SET deadlock_timeout = '1h'; BEGIN; {RENAME} 2")
        waiting = threading.Thread(target=other.run, args=(f"{RENAME} 1",))
        waiting.start()
        try:
            wait_until(lambda: db.value("SELECT pg_blocking_pids(:pid::integer)", pid=pid), "The wait for a lock")
            connection.run(f"{RENAME} 2")
        finally:
            connection.run("ROLLBACK")
            waiting.join()


def wait_for_a_lock(db: Database, connection: Connection, code: str) -> None:
    db.sql(CUSTOMER)
    with closing(db.server.connect()) as other:
        other.run(f"BEGIN; {RENAME} 1")
        connection.run(f"SET lock_timeout = 1; {RENAME} 1")


def connect_once_too_often(db: Database, connection: Connection, code: str) -> None:
    db.sql("CREATE ROLE lonely LOGIN CONNECTION LIMIT 0 PASSWORD 'password-of-the-tests'")
    try:
        db.connect("lonely")
    finally:
        db.sql("DROP ROLE lonely")


SITUATIONS: dict[str, Callable[[Database, Connection, str], None]] = {
    "40001": change_what_another_has_changed,
    "40P01": wait_for_each_other,
    "53300": connect_once_too_often,
    "55P03": wait_for_a_lock,
}


@pytest.fixture
def connection(db: Database) -> Iterator[Connection]:
    """A connection of the owner's for the refusal: session state ends with it."""
    connection = db.server.connect(timeout=30)
    yield connection
    connection.abandon()


def assert_told(error: DatabaseError, code: str) -> None:
    assert sqlstate(error) in (code, FORMERLY.get(code))
    problem = from_database(error)
    assert problem is not None
    assert problem.status == SQLSTATES[code][0]
    assert problem.headers.keys() == ({"Retry-After"} if problem.status == 503 else set())


@pytest.mark.parametrize("code", sorted(SQLSTATES.keys() - {"57P03"}))
def test_a_refusal_by_postgresql_becomes_its_problem(db: Database, connection: Connection, code: str) -> None:
    with pytest.raises(DatabaseError) as refusal:
        SITUATIONS.get(code, state)(db, connection, code)
    assert_told(refusal.value, code)


def test_a_server_that_is_going_away_becomes_its_problem(tmp_path: Path) -> None:
    """57P03: it waits for a session to end and accepts no others."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    refusals: list[DatabaseError] = []

    def is_refused() -> bool:
        try:
            server.server.connect("postgres").close()
        except DatabaseError as refusal:
            refusals.append(refusal)
        return bool(refusals)

    with closing(server.server.connect("postgres")):
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        wait_until(is_refused, "The refusal")
    server.stop()
    assert_told(refusals[0], "57P03")


def test_an_error_that_is_not_in_the_table_is_our_defect(db: Database) -> None:
    with pytest.raises(DatabaseError) as refusal:
        db.sql("SELECT * FROM nowhere")
    assert from_database(refusal.value) is None


def test_every_constraint_with_its_own_message_exists(db: Database) -> None:
    names = {
        row[0]
        for row in db.sql("SELECT conname::text FROM pg_constraint UNION SELECT indexrelid::regclass::text FROM pg_index")
    }
    assert names >= CONSTRAINTS.keys()
