"""`python -m benchmarks.writes`: what events and the outbox add to what a change of an order writes, reads and computes.

pgbench sends the statements of create_order and pay_order over one connection, to copies of one database which take turns:

history         as before there was a feed: an order's history, with an index by order, and nobody is told
events          as deployed: the feed's indexes, and triggers that find neither a webhook nor mail
told            the same with a webhook for all types, and with mail: a delivery, a mail and rows of the outbox for each event

Full pages, which PostgreSQL logs once after each checkpoint, are left out: how many there are depends on when one comes.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.data import Data, migrate
from benchmarks.events import Call, create_order, pay_order
from benchmarks.limits import Statement, run_pgbench, script_of, statements_of
from benchmarks.scenarios import Scenario
from local.postgres import EmbeddedPostgres, Server

POSTGRES = {
    "shared_buffers": "256MB",
    "max_wal_size": "8GB",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_preload_libraries": "pg_stat_statements",
}
CUSTOMERS = 1000
FILL = f"INSERT INTO customers (email, name) SELECT n || '@example.com', 'A' FROM generate_series(1, {CUSTOMERS}) AS n"
WAYS = {
    "history": (
        "DROP INDEX events_feed, events_type, events_customer_type, events_customer_sequence; "
        "ALTER TABLE events DISABLE TRIGGER USER"
    ),
    "events": "",
    "told": (
        "INSERT INTO webhooks (url, types, description, secret) VALUES ('https://shop.example.com/', '{*}', '', 's'); "
        "INSERT INTO mail_switch (is_on) VALUES (true)"
    ),
}
# What is paid for has been created by the turn before.
CALLS = {"create": create_order(1), "pay": pay_order(1)}
COUNTS = """
SELECT coalesce(sum(calls), 0)::float8, coalesce(sum(wal_bytes), 0)::float8,
    coalesce(sum(shared_blks_hit + shared_blks_read), 0)::float8
FROM pg_stat_statements
WHERE userid = 'orders_app'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query LIKE 'WITH %'
"""
END_OTHERS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'orders_app'"
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orders_app'"


class Cost(NamedTuple):
    """Of one statement: bytes of WAL, pages looked at, and microseconds of the backend's processor time."""

    wal_bytes: float
    pages: float
    cpu_us: float


class Copy:
    """One way's database."""

    def __init__(self, postgres: EmbeddedPostgres, name: str, calls: int) -> None:
        self.server = replace(postgres.server, database=name)
        self.connection = self.server.connect(timeout=60)
        assert postgres.process is not None
        self.postmaster = psutil.Process(postgres.process.pid)
        self.calls = calls
        for statement in filter(None, WAYS[name].split("; ")):
            self.connection.run(statement)
        [[self.paid]] = self.connection.run("SELECT max(id) FROM orders")

    def measure(self, name: str, call: Call, statements: list[Statement]) -> Cost:
        orders = range(self.paid + 1, self.paid + 1 + self.calls)
        data = Data(self.server, 0, (1, 1), (1, CUSTOMERS), iter(orders), "")
        given, script = script_of(data, Scenario(name, name, lambda: call, writes=True), call, statements, self.calls)
        before, cpu = self.counts(), self.cpu_seconds()
        run_pgbench(self.server, ["-c1", "-Mprepared", f"-t{self.calls}"], given, script)
        calls, wal, pages = (after - former for after, former in zip(self.counts(), before, strict=True))
        assert calls == self.calls, calls
        if name == "pay":
            self.paid += self.calls
        return Cost(wal / calls, pages / calls, 1e6 * (self.cpu_seconds() - cpu) / calls)

    def counts(self) -> list[float]:
        return self.connection.run(COUNTS)[0]

    def cpu_seconds(self) -> float:
        """That of backends that have ended, which the postmaster has waited for."""
        while self.connection.run(BACKENDS)[0][0]:
            time.sleep(0.02)
        time.sleep(0.1)
        times = self.postmaster.cpu_times()
        return times.children_user + times.children_system


def compare(postgres: EmbeddedPostgres, log: Path, rounds: int, calls: int) -> None:
    server: Server = postgres.start()
    migrate(server, log)
    connection = server.connect("postgres", timeout=60)
    owner = server.connect(timeout=60)
    owner.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    owner.run(FILL)
    seen = Data(server, 0, (1, 1), (1, 1), iter(()), "")
    recorded = {name: (call, statements_of(seen, call, log)) for name, call in CALLS.items()}
    owner.run("VACUUM ANALYZE")
    owner.close()
    # The tap's, which would keep the database from being copied.
    connection.run(END_OTHERS)
    for name in WAYS:
        connection.run(f"CREATE DATABASE {name} TEMPLATE {server.database}")
    copies = {name: Copy(postgres, name, calls) for name in WAYS}
    found: dict[tuple[str, str], list[Cost]] = {}
    for number in range(rounds + 1):
        for scenario, (call, statements) in recorded.items():
            for way, copy in copies.items():
                cost = copy.measure(scenario, call, statements)
                # The first round only warms up.
                if number:
                    found.setdefault((scenario, way), []).append(cost)
    print(f"{'':8}{'':10}{'WAL bytes':>12}{'pages':>10}{'CPU, µs':>10}   beside history")
    for scenario in CALLS:
        base = median(found[scenario, "history"])
        for way in WAYS:
            cost = median(found[scenario, way])
            shares = "  ".join(f"{mine / other - 1:+.1%}" for mine, other in zip(cost, base, strict=True))
            print(f"{scenario:8}{way:10}{cost.wal_bytes:12,.0f}{cost.pages:10.1f}{cost.cpu_us:10.0f}   {shares}")


def median(costs: list[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each way has its turn")
    parser.add_argument("--calls", type=int, default=2000, help="per turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres", **POSTGRES)
        try:
            compare(postgres, Path(name) / "log", options.rounds, options.calls)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
