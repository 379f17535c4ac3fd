"""`python -m benchmarks.lists`: what lists and new orders cost PostgreSQL among 10,000,000 orders, and among 10,000.

Of each request the pages that its statement touches, and the least processor time of the server's process, in turn for both
sizes. Neither waits for other programs, so a busy machine measures nearly the same. For orders also the bytes of WAL.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from benchmarks.data import migrate, variables
from benchmarks.events import Call, create_order, list_customers, list_orders, summarize_orders
from benchmarks.skewed import skewed
from benchmarks.workers import OURS, Worker
from drill.servers import wait_until
from local.postgres import EmbeddedPostgres, Server
from orders.paging import encode_cursor

# What is measured is only read, or thrown away.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "maintenance_work_mem": "512MB", "fsync": "off"}
FILL_SECONDS = 3600
SMALL_ORDERS = 10_000
ORDERS_PER_CUSTOMER = 10
# PostgreSQL plans the first five calls with their values.
PLANNED_CALLS = 6
DEEP_PAGE = 10_000 * 50
PENDING = PAID = 0.02
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY ('{customers,orders,order_items,customer_totals}'::regclass[]) AND NOT indisunique
"""
BOUNDS = "SELECT min(id), max(id), (SELECT min(id) FROM customers), (SELECT max(id) FROM customers) FROM orders"
DEEP_TOTALS = "SELECT -spent_cents, customer_id FROM customer_totals ORDER BY -spent_cents, customer_id OFFSET :deep LIMIT 1"
BACKEND = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename = 'orders_app'"
READ = """
SELECT sum(shared_blks_hit + shared_blks_read)::bigint, sum(wal_bytes)::bigint FROM pg_stat_statements
WHERE userid = 'orders_app'::regrole
"""


class Cost(NamedTuple):
    """pages: touched. seconds: of the processor. wal: bytes."""

    pages: int
    seconds: float
    wal: int


@dataclass
class Filled:
    """A database with its data. orders, customers: the lowest and the highest id. deep: the keys of a page far down."""

    server: Server
    orders: tuple[int, int]
    customers: tuple[int, int]
    deep_total: list[int]

    @property
    def deep_order(self) -> int:
        return max(self.orders[1] - DEEP_PAGE, sum(self.orders) // 2)


def fill(server: Server, orders: int, log: Path) -> None:
    migrate(server, log)
    connection = server.connect(timeout=FILL_SECONDS)
    connection.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    # Made afterwards, in a fraction of the time.
    indexes = connection.run(INDEXES)
    connection.run(f"DROP INDEX {', '.join(name for name, _ in indexes)}")
    for statement in skewed(orders // ORDERS_PER_CUSTOMER, orders, pending=PENDING, paid=PAID):
        connection.run(statement)
    for _, definition in indexes:
        connection.run(definition)
    connection.run("VACUUM (FREEZE, ANALYZE)")
    connection.close()


def filled(server: Server) -> Filled:
    connection = server.connect(timeout=FILL_SECONDS)
    [[first, last, first_customer, last_customer]] = connection.run(BOUNDS)
    deep = min(DEEP_PAGE, (last_customer - first_customer) // 2)
    [deep_total] = connection.run(DEEP_TOTALS, deep=deep)
    connection.close()
    return Filled(server, (first, last), (first_customer, last_customer), deep_total)


def requests(data: Filled) -> dict[str, Call]:
    first, last = data.customers
    middle = (first + last) // 2
    # One with a name, a number and the common domain.
    address = _address(data, middle - middle % 475 + first - 1)
    searches = {
        "whole address": address,
        "local part with @": address.partition("@")[0] + "@",
        "common domain": "@gmail.com",
        "rare domain": f"@firm{(last - first + 1) // 2 // 50 * 50}.de",
        "ali": "ali",
        "alice.nguyen": "alice.nguyen",
        "zoe.k": "zoe.k",
        "absent": "nobody-has-this",
        "qz, absent": "qz",
        "~, absent": "~",
    }
    found = {
        "orders": list_orders(),
        "orders, the 10,000th page": _deep(list_orders, "/api/orders", [data.deep_order]),
        "summary": summarize_orders(),
        "summary, far down": _deep(summarize_orders, "/api/orders/summary", data.deep_total),
        "customers": list_customers(),
    }
    for status in ("pending", "paid", "delivered", "cancelled", "shipped"):
        found[f"orders, {status}"] = list_orders(status=status)
        found[f"orders of the largest customer, {status}"] = list_orders(customer_id=first, status=status)
    for title, needle in searches.items():
        found[f"orders, {title}"] = list_orders(email=needle)
        found[f"paid orders, {title}"] = list_orders(status="paid", email=needle)
        found[f"customers, {title}"] = list_customers(email=needle)
    found["new order"] = create_order(middle)
    return found


def _address(data: Filled, customer: int) -> str:
    connection = data.server.connect()
    [[address]] = connection.run("SELECT email FROM customers WHERE id = :customer", customer=customer)
    connection.close()
    return str(address)


def _deep(listed: Any, path: str, position: list[int], **query: str) -> Call:
    scope = f"{path}?{urlencode(query)}"
    call: Call = listed(**query, cursor=encode_cursor(position, scope))
    return call


def _is_at_rest(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(") ")[2].startswith("S")


class Meter:
    """A function's process, and its connection's process in the server."""

    def __init__(self, data: Filled, function: str, log: Path) -> None:
        self.worker: Worker = OURS.start(variables(data.server), log, function)
        self.connection = data.server.connect()

    def cost(self, call: Call) -> Cost:
        self.connection.run("SELECT pg_stat_statements_reset()")
        before = self._processor_seconds()
        answer = self.worker.call(OURS.message(call)).answer
        seconds = self._processor_seconds() - before
        assert answer["statusCode"] < 300, answer
        [[pages, wal]] = self.connection.run(READ)
        return Cost(pages or 0, seconds, wal or 0)

    def _processor_seconds(self) -> float:
        processes = [Path(f"/proc/{pid}") for [pid] in self.connection.run(BACKEND)]
        # What a running process has used since its processor last looked is not counted yet.
        wait_until(lambda: all(_is_at_rest(process) for process in processes), "The end of the statement")
        # Linux counts nanoseconds here, and hundredths of a second elsewhere.
        return sum(int((process / "schedstat").read_text().split()[0]) for process in processes) / 1e9

    def stop(self) -> None:
        self.worker.stop()
        self.connection.close()


@contextmanager
def metered(data: Filled, call: Call, log: Path) -> Iterator[Meter]:
    meter = Meter(data, call.function, log)
    try:
        for _ in range(PLANNED_CALLS):
            meter.cost(call)
        yield meter
    finally:
        meter.stop()


def compare(databases: list[Filled], rounds: int, only: str, log: Path) -> None:
    print("| request | pages | ms of CPU | WAL | pages, small | ms, small | ratio |\n|---|---|---|---|---|---|---|")
    calls = [requests(data) for data in databases]
    for title in calls[0]:
        if only not in title:
            continue
        with ExitStack() as stack:
            given = [each[title] for each in calls]
            meters = [stack.enter_context(metered(data, call, log)) for data, call in zip(databases, given, strict=True)]
            taken: list[list[Cost]] = [[] for _ in databases]
            for _ in range(rounds):
                for meter, call, found in zip(meters, given, taken, strict=True):
                    found.append(meter.cost(call))
        # Some virtual machines count nothing at times.
        counted = ([cost for cost in found if cost.seconds] for found in taken)
        large, small = (min(found, key=lambda cost: cost.seconds) for found in counted)
        print(f"| {title} | {large.pages:,} | {large.seconds * 1000:.2f} | {large.wal:,} ", end="")
        print(f"| {small.pages:,} | {small.seconds * 1000:.2f} | {large.seconds / small.seconds:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000_000, help="of a tenth as many customers")
    parser.add_argument("--rounds", type=int, default=25, help="calls of each request")
    parser.add_argument("--only", default="", help="a part of the names of the requests that are measured")
    parser.add_argument("--folder", type=Path, help="where to keep the data for further runs")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = folder / "workers.log"
        postgres = EmbeddedPostgres(folder / "postgres", **POSTGRES)
        stack.callback(postgres.stop)
        server = postgres.start()
        connection = server.connect("postgres")
        sizes = {f"orders_{size}": size for size in (options.orders, SMALL_ORDERS)}
        present = {name for [name] in connection.run("SELECT datname FROM pg_database")}
        for name, size in sizes.items():
            if name not in present:
                connection.run(f"CREATE DATABASE {name}")
                fill(replace(server, database=name), size, log)
        connection.close()
        compare([filled(replace(server, database=name)) for name in sizes], options.rounds, options.only, log)


if __name__ == "__main__":
    main()
