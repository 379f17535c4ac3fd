"""`python -m benchmarks.export`: an export of all orders, beside psql's own `\\copy … | gzip` of the same rows.

The worker runs in one process, as in Lambda, and sends its parts to moto's S3. psql and gzip are two processes that write to a
file. They take turns, so that whatever slows the machine slows both.
"""

import argparse
import logging
import os
import runpy
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import boto3
import psutil

from benchmarks.data import PASSWORD, migrate
from benchmarks.results import machine
from benchmarks.seeding import queue
from benchmarks.workers import OURS, Worker
from contract.functions import FUNCTIONS, load_functions
from local.postgres import EmbeddedPostgres, Server, binaries

POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
BUCKET = "bench"
ORDERS_PER_CUSTOMER = 10
FILL_SECONDS = 3600
COPIES = runpy.run_path(str(FUNCTIONS / "run_export" / "copies.py"))
TIMEOUT_SECONDS = next(each for each in load_functions() if each.name == "run_export").timeout_seconds
# Totals are written as the triggers would have, which this leaves out: a benchmark of reading need not wait for them.
FILL = """
SET session_replication_role = replica;
INSERT INTO customers (email, name)
SELECT 'alice.nguyen.' || n || '@shop-' || n % 1000 || '.example.com', 'Alice Nguyen ' || n
FROM generate_series(1, :customers::bigint) AS n;
INSERT INTO orders (customer_id, status, total_cents, item_count, created_at)
SELECT 1 + n % :customers::bigint, (ARRAY['pending', 'paid', 'shipped', 'delivered', 'cancelled'])[1 + n % 5],
       3 * (1 + n % 5) * (100 + n % 5000), 3, now() - make_interval(secs => n)
FROM generate_series(1, :orders::bigint) AS n;
INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
SELECT n, 'SKU-' || (n * i) % 10000, 1 + n % 5, 100 + n % 5000
FROM generate_series(1, :orders::bigint) AS n, generate_series(1, 3) AS i;
RESET session_replication_role;
"""
START = "INSERT INTO exports (kind, format, filters) VALUES ('orders', :format, '{}') RETURNING id::text"
ADD_WORK = """
INSERT INTO outbox (queue, body) VALUES ('exporting', jsonb_build_object('export', :export::text)) RETURNING id
"""
FINISHED = "SELECT status, rows, bytes FROM exports WHERE id = :export::uuid"


def fill(server: Server, orders: int) -> None:
    connection = server.connect(timeout=FILL_SECONDS)
    for statement in FILL.strip().split(";\n"):
        text = statement.replace(":customers", str(orders // ORDERS_PER_CUSTOMER)).replace(":orders", str(orders))
        connection.run(text.removesuffix(";"))
    connection.run("VACUUM ANALYZE")
    connection.close()


def ours(server: Server, worker: Worker, form: str) -> float:
    """Seconds of the worker, from its message to the finished file, in as many invocations as it takes."""
    connection = server.connect()
    [[export]] = connection.run(START, format=form)
    process = psutil.Process(worker.process.pid)
    before = sum(process.cpu_times()[:2])
    connection.run(ADD_WORK, export=export)
    seconds = 0.0
    # Each invocation leaves the work of the next one behind.
    while found := connection.run("SELECT id FROM outbox"):
        body = f'{{"outbox": {found[0][0]}, "export": "{export}"}}'
        record = {"messageId": export, "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        report = worker.call({"function": "run_export", "event": {"Records": [record]}, "timeout": TIMEOUT_SECONDS})
        assert report.answer == {"batchItemFailures": []}, worker.log.read_text()
        seconds += report.seconds
    busy = sum(process.cpu_times()[:2]) - before
    [[status, rows, size]] = connection.run(FINISHED, export=export)
    connection.close()
    assert status == "succeeded"
    print(f"    ours: {rows:,} rows, {size / 1e6:.0f} MB, {seconds:.1f} s, {busy:.1f} s of CPU", flush=True)
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=f"{export}.{form}.gz")
    return seconds


def psql(server: Server, form: str, folder: Path) -> float:
    """Seconds of psql and gzip, with the worker's own columns of the same view, and the planner's own settings."""
    columns, options = (
        ("document", COPIES["JSON_OPTIONS"]) if form == "jsonl" else (COPIES["CSV_COLUMNS"]["orders"], "FORMAT csv, HEADER")
    )
    copy = rf"\copy (SELECT {columns} FROM exported_orders ORDER BY position DESC) TO STDOUT WITH ({options})"
    file = folder / f"orders.{form}.gz"
    command = f'"{binaries() / "psql"}" -X -q -c "$COPY" | gzip > "{file}"'
    environment = {
        **os.environ, "COPY": copy, "PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": server.user,
        "PGPASSWORD": server.password, "PGDATABASE": server.database,
    }  # fmt: skip
    begun, before = time.perf_counter(), sum(os.times()[2:4])
    subprocess.run(["/bin/sh", "-c", command], env=environment, check=True)
    seconds = time.perf_counter() - begun
    busy = sum(os.times()[2:4]) - before
    print(f"    psql: {file.stat().st_size / 1e6:.0f} MB, {seconds:.1f} s, {busy:.1f} s of CPU", flush=True)
    file.unlink()
    return seconds


def compare(server: Server, folder: Path, orders: int, rounds: int) -> None:
    log = folder / "log"
    migrate(server, log)
    print(f"filling {orders:,} orders", flush=True)
    fill(server, orders)
    connection = server.connect()
    connection.run("ALTER ROLE orders_exporter SET statement_timeout = 0")
    connection.close()
    os.environ["AWS_ENDPOINT_URL_S3"] = os.environ["AWS_ENDPOINT_URL_SQS"]
    os.environ |= {"EXPORTS_BUCKET": BUCKET, "AWS_REGION": os.environ["AWS_DEFAULT_REGION"]}
    region = {"LocationConstraint": os.environ["AWS_REGION"]}
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
    database = {**server.environment, "DATABASE_USER": "orders_exporter", "DATABASE_PASSWORD": PASSWORD}
    worker = OURS.start(database, log, "run_export")
    for form in ("csv", "jsonl"):
        print(f"  {form}", flush=True)
        found = [(ours(server, worker, form), psql(server, form, folder)) for _ in range(rounds + 1)][1:]
        mine, theirs = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(other / own for own, other in found)
        print(f"{form}: {orders / mine:,.0f} orders/s, psql and gzip {orders / theirs:,.0f}; {ratio:.2f} of their speed")
    worker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000, help="orders")
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn, after one that warms up")
    options = parser.parse_args()
    # Each part is a request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print(machine())
    with tempfile.TemporaryDirectory() as name, queue():
        postgres = EmbeddedPostgres(Path(name) / "postgres", **POSTGRES)
        try:
            compare(postgres.start(), Path(name), options.size, options.rounds)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
