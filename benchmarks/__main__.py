"""`make bench`: what the service adds to the database, as ratios measured in one run on one machine.

Each endpoint's handler (event in, response out, in this process) is timed in turn with its bare statement, so that the speed of
the machine cancels out. Seeding is timed against COPY of the same rows into tables without keys or triggers.
"""

import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from contract.functions import FUNCTIONS, load_functions
from local.postgres import EmbeddedPostgres
from tests.harness import Database, Service

ROUNDS = 300
CUSTOMERS, ORDERS, ITEMS = 10_000, 10, 3
COLD_RUNS = 7


def median_ratio(first: Callable[[], Any], second: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Medians in milliseconds of the two in turn, and of their ratio pair by pair."""
    for warm_up in (first, second):
        for _ in range(10):
            warm_up()
    pairs = [(_milliseconds(first), _milliseconds(second)) for _ in range(rounds)]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return medians[0], medians[1], statistics.median(a / b for a, b in pairs)


def _milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def endpoints(service: Service, db: Database) -> None:
    role = db.connect("orders_app")
    orders = db.sql("SELECT id FROM orders ORDER BY id LIMIT 1")[0][0]
    lists = service.module("list_orders")
    summary = service.module("summarize_orders").SUMMARIZE_ORDERS
    everything = {"before": 2**62, "rows": 51}
    print(f"\n{'endpoint':34}{'handler':>10}{'statement':>11}{'ratio':>8}")
    for name, path, query, statement, params in [
        ("get an order", f"/api/orders/{orders}/", {}, service.module("get_order").GET_ORDER, {"order_id": orders}),
        ("list 50 orders", "/api/orders/", {}, lists.SELECT + lists.NEWEST_FIRST, everything),
        (
            "list 50 orders, status and e-mail",
            "/api/orders/",
            {"status": "paid", "email": "alice"},
            lists.SELECT + lists.FILTERS["status"] + lists.FILTERS["email"] + lists.NEWEST_FIRST,
            {**everything, "status": "paid", "email": "%alice%"},
        ),
        (
            "summary of 50 customers",
            "/api/orders/summary/",
            {},
            summary,
            {"negative_spent": -(2**62), "customer_id": 0, "rows": 51},
        ),
    ]:
        named = "email" not in params
        handler, bare, ratio = median_ratio(
            lambda path=path, query=query: service.http("GET", path, query=query),  # type: ignore[misc]
            lambda statement=statement, params=params, named=named: role.run(statement, named=named, **params),  # type: ignore[misc]
        )
        print(f"{name:34}{handler:8.2f}ms{bare:9.2f}ms{ratio:8.2f}")
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 5}
    body = {"customer_id": db.value("SELECT min(id) FROM customers"), "items": [item, item]}
    create = [_milliseconds(lambda: service.http("POST", "/api/orders/", body)) for _ in range(ROUNDS)]
    pending = [row[0] for row in db.sql("SELECT id FROM orders WHERE status = 'pending' LIMIT :rows", rows=ROUNDS)]
    cancel = [_milliseconds(lambda order=order: service.act(order, "cancel")) for order in pending]  # type: ignore[misc]
    print(f"{'create an order with two items':34}{statistics.median(create):8.2f}ms")
    print(f"{'cancel an order':34}{statistics.median(cancel):8.2f}ms")
    role.close()


def seeding(service: Service, db: Database) -> None:
    seeded = _milliseconds(lambda: service.seed(customers=CUSTOMERS, orders_per_customer=ORDERS, items_per_order=ITEMS)) / 1000
    rows = CUSTOMERS * (1 + ORDERS * (1 + ITEMS))
    copied = 0.0
    for table in ("customers", "orders", "order_items"):
        db.sql(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WITH NO DATA")
        with tempfile.NamedTemporaryFile(suffix=".copy") as file:
            Path(file.name).chmod(0o666)
            db.sql(f"COPY {table} TO '{file.name}'")
            copied += _milliseconds(lambda table=table, file=file: db.sql(f"COPY bare_{table} FROM '{file.name}'")) / 1000  # type: ignore[misc]
    print(f"\nseeding {rows:,} rows through the queue: {seeded:.1f} s")
    print(f"COPY of them into tables without keys and triggers: {copied:.1f} s; ratio {seeded / copied:.1f}")


def cold_starts() -> None:
    bare = _process("pass")
    print(f"\n{'import of a handler':34}{'':8}  (above a bare interpreter's {bare:.0f} ms)")
    for name in ("get_health", "list_orders", "create_order", "run_seed_chunk"):
        print(f"{name:34}{_process('import handler', FUNCTIONS / name) - bare:8.0f}ms")


def _process(code: str, folder: Path | None = None) -> float:
    command = [sys.executable, "-c", code]
    return statistics.median(_milliseconds(lambda: subprocess.run(command, cwd=folder, check=True)) for _ in range(COLD_RUNS))


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    sqs = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    sqs.start()
    host, port = sqs.get_host_and_port()
    credentials = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench")
    os.environ.update(credentials, AWS_DEFAULT_REGION="eu-central-1", AWS_ENDPOINT_URL_SQS=f"http://{host}:{port}")
    os.environ.update(
        STAGE="bench",
        SEED_MAX_RECEIVES="3",
        SEED_MAX_UNFINISHED_ROWS="50000000",
        POWERTOOLS_METRICS_NAMESPACE="Orders",
        LOG_LEVEL="WARNING",
    )
    import boto3  # noqa: PLC0415 - reads the environment

    os.environ["SEED_QUEUE_URL"] = boto3.client("sqs").create_queue(QueueName="bench")["QueueUrl"]
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        db = Database.create(server.server, "bench")
        os.environ.update(db.environment)
        service = Service()
        service.invoke("migrate_database", {})
        print(f"{len(load_functions())} functions, PostgreSQL {db.value('SHOW server_version')}, {os.cpu_count()} cores")
        seeding(service, db)
        db.sql("VACUUM ANALYZE")
        endpoints(service, db)
        cold_starts()
        service.close()
        db.connection.close()
        server.stop()
    sqs.stop()


if __name__ == "__main__":
    main()
