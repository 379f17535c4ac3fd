"""`python -m benchmarks.outbox`: 1,000,000 rows pass through the outbox, with autovacuum as it is; how large is it then?

The statements are the relay's and the workers': rows are added, claimed and deleted, as many at a time as the relay claims.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.data import migrate
from benchmarks.workers import FUNCTIONS
from local.postgres import EmbeddedPostgres, Server

ROWS_PER_CLAIM = 100
CLAIM = (FUNCTIONS / "relay_outbox" / "claim_due_rows.sql").read_text()
ADD = "INSERT INTO outbox (queue, body) SELECT 'seeding', jsonb_build_object('chunk', n) FROM generate_series(1, :rows) AS n"
DELETE = "DELETE FROM outbox WHERE id = ANY (:ids::bigint[])"
SIZES = """
SELECT pg_relation_size('outbox'), pg_relation_size('outbox_pkey'), pg_relation_size('outbox_due'), n_dead_tup, autovacuum_count
FROM pg_stat_all_tables WHERE relname = 'outbox'
"""


def pass_through(server: Server, rows: int, per_second: int) -> None:
    connection = server.connect(timeout=60)
    began = time.monotonic()
    print(f"{'rows':>10}{'table, MB':>12}{'key, MB':>10}{'due, MB':>10}{'dead rows':>12}{'vacuums':>9}")
    for passed in range(ROWS_PER_CLAIM, rows + 1, ROWS_PER_CLAIM):
        connection.run(ADD, rows=ROWS_PER_CLAIM)
        claimed = connection.run(CLAIM, batch=ROWS_PER_CLAIM, leases='{"seeding": 360}')
        connection.run(DELETE, ids=[row[1] for row in claimed])
        time.sleep(max(0.0, began + passed / per_second - time.monotonic()))
        if passed % (rows // 10) == 0:
            *sizes, dead, vacuums = connection.run(SIZES)[0]
            table, key, due = (size / 2**20 for size in sizes)
            print(f"{passed:10,}{table:12.1f}{key:10.1f}{due:10.1f}{dead:12,}{vacuums:9}", flush=True)
    [[left]] = connection.run("SELECT count(*) FROM outbox")
    print(f"{left} rows are left; {rows / (time.monotonic() - began):,.0f} rows per second")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--per-second", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        try:
            server = postgres.start()
            migrate(server, Path(name) / "log")
            pass_through(server, options.rows, options.per_second)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
