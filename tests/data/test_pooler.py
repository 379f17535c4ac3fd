"""Many clients through a transaction pooler with two server connections: nobody ever gets another client's answer."""

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pg8000.native import Connection as StockConnection

from drill.servers import PgBouncer
from tests.harness import ROLE_PASSWORD, Database
from tests.tools import missing

pytestmark = pytest.mark.slow

CLIENTS = 8
CALLS_PER_CLIENT = 1250

needs_pgbouncer = pytest.mark.skipif(
    "pgbouncer" in missing(), reason="PgBouncer is not installed, and `make test` could not install it"
)


@needs_pgbouncer
@pytest.mark.parametrize("churn", [False, True])
def test_ten_thousand_calls_return_no_foreign_row(db: Database, tmp_path: Path, churn: bool) -> None:
    """churn: the server forgets its prepared statements all the time."""
    wrong: Counter[str] = Counter()

    def client(number: int, port: int) -> None:
        connection = replace(db.server, port=port, user="orders_app", password=ROLE_PASSWORD).connect(timeout=30)
        # All statements have the same number and types of parameters: a mix-up would be silent.
        query = f"SELECT {number} AS client, :call::integer"
        for call in range(CALLS_PER_CLIENT):
            if churn and call % 50 == number:
                connection.run("DEALLOCATE ALL")
            if call % 5 == 0:
                connection.run("BEGIN")
            rows = connection.run(query, call=call)
            if call % 5 == 0:
                connection.run("COMMIT")
            wrong[str(rows)] += rows != [[number, call]]
        connection.close()

    with PgBouncer(tmp_path, db.server, {"orders_app": ROLE_PASSWORD}) as pooler:
        threads = [threading.Thread(target=client, args=(number, pooler.port)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(wrong) == CLIENTS * CALLS_PER_CLIENT
    assert +wrong == Counter()


@needs_pgbouncer
def test_the_test_detects_a_driver_that_mixes_rows(db: Database, tmp_path: Path) -> None:
    """Stock pg8000 does, so the test above can fail."""
    wrong: Counter[str] = Counter()

    def client(number: int, port: int) -> None:
        connection = StockConnection(
            "orders_app", host="127.0.0.1", port=port, database=db.server.database, password=ROLE_PASSWORD, ssl_context=False
        )
        for call in range(500):
            try:
                rows = connection.run(f"SELECT {number} AS client, :call::integer", call=call)
            except Exception:
                wrong["error"] += 1
            else:
                wrong["foreign"] += rows != [[number, call]]
        with suppress(Exception):
            connection.close()

    with PgBouncer(tmp_path, db.server, {"orders_app": ROLE_PASSWORD}) as pooler:
        threads = [threading.Thread(target=client, args=(number, pooler.port)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong["foreign"] > 0
