"""`python -m benchmarks.hot_customer`: eight writers create orders for one customer, and for a customer each.

pgbench sends the statement of create_order, so that the machine's cores are left to PostgreSQL. The two ways take turns, so
that whatever slows the machine slows both. Then both again with slow commits, which stand for the commit of two zones.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import Data, migrate
from benchmarks.events import create_order
from benchmarks.limits import run_pgbench, script_of, statements_of
from benchmarks.scenarios import Scenario
from local.postgres import EmbeddedPostgres, Server

WRITERS = 8
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
NEW_CUSTOMERS = f"INSERT INTO customers (email, name) SELECT n || '@example.com', 'Hot' FROM generate_series(1, {WRITERS}) AS n"
SLOW_COMMITS = "commit_delay = 4000, commit_siblings = 0"
# commit_delay is in microseconds: how long each flush of the log waits for other commits to join it.
COMMITS = {"plain": (0, 5), SLOW_COMMITS: (4000, 0)}
ONE = r"\set id random(1, 1)"
OWN = r"\set id :client_id + 1"


class Writing(NamedTuple):
    """Orders per second, and the 99th percentile of the milliseconds that one took."""

    per_second: float
    p99: float


def measure(server: Server, given: dict[str, str], script: str, seconds: int) -> Writing:
    lines = run_pgbench(server, [f"-c{WRITERS}", "-Mprepared", f"-T{seconds}"], given, script)
    return Writing(len(lines) / seconds, statistics.quantiles([int(line[2]) / 1000 for line in lines], n=100)[-1])


def compare(server: Server, log: Path, rounds: int, seconds: int) -> None:
    migrate(server, log)
    connection = server.connect()
    connection.run(NEW_CUSTOMERS)
    data = Data(server, 0, (1, 1), (1, 1), iter(()), "")
    call = create_order(1)
    scenario = Scenario("create", "create, 3 items", lambda: call, writes=True)
    given, script = script_of(data, scenario, call, statements_of(data, call, log), 0)
    assert ONE in script
    for commits, (delay, siblings) in COMMITS.items():
        connection.run(f"ALTER ROLE orders_app SET commit_delay = {delay}")
        connection.run(f"ALTER ROLE orders_app SET commit_siblings = {siblings}")
        ways: dict[str, list[Writing]] = {OWN: [], ONE: []}
        for number in range(-1, rounds):
            for way, found in ways.items():
                taken = measure(server, given, script.replace(ONE, way), seconds)
                # The first round only warms up.
                found.extend([taken] * (number >= 0))
        own, one = (Writing(*map(statistics.median, zip(*found, strict=True))) for found in ways.values())
        print(f"{commits}: {own.per_second:.0f} orders/s for eight customers, p99 {own.p99:.1f} ms; ", end="")
        print(f"{one.per_second:.0f} for one, p99 {one.p99:.1f} ms; ", end="")
        print(f"ratios {one.per_second / own.per_second:.2f} and {one.p99 / own.p99:.2f}")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_customer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each way has its turn")
    parser.add_argument("--seconds", type=int, default=6, help="per turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres", **POSTGRES)
        try:
            compare(postgres.start(), Path(name) / "log", options.rounds, options.seconds)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
