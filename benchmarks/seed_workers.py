"""`python -m benchmarks.seed_workers`: a seed run by one worker and by two, beside a bare insert of as many rows.

Seconds from the first message to the last row and of the processor in PostgreSQL's processes, and WAL. The numbers of workers
take turns. With the laptop's own settings unless others are given; the longest pause between two batches shows whether a run
stalls.
"""

import argparse
import logging
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import migrate, variables
from benchmarks.limits import bare_inserts
from benchmarks.mixed import cpu_seconds
from benchmarks.seeding import ROWS_PER_CUSTOMER, Seeder, queue
from local.postgres import EmbeddedPostgres, Server

WAL = "SELECT wal_bytes::bigint FROM pg_stat_wal"
LAST_CUSTOMER = "SELECT coalesce(max(id), 0) FROM customers"


class Seeded(NamedTuple):
    """processor: seconds of PostgreSQL's. pause: the longest time between the ends of two batches."""

    seconds: float
    processor: float
    pause: float


def seed(server: Server, postmaster: int, customers: int, workers: int, log: Path) -> Seeded:
    seeder = Seeder(variables(server, "orders_seeder"), log, workers)
    # One customer for each first, so that no cold start is timed.
    for worker in seeder.workers:
        list(seeder.queue(1))
        list(seeder.work_off(worker))
    list(seeder.queue(customers))
    ends: list[float] = []

    def work(number: int) -> None:
        ends.extend(time.monotonic() for _ in seeder.work_off(seeder.workers[number]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    begun, before = time.monotonic(), cpu_seconds(postmaster)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    processor = cpu_seconds(postmaster) - before
    seeder.stop()
    pauses = [later - earlier for earlier, later in zip([begun, *ends], ends, strict=False)]
    return Seeded(ends[-1] - begun, processor, max(pauses))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed_workers", description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000, help="each with 10 orders of 3 items")
    parser.add_argument("--rounds", type=int, default=5, help="how often each number of workers has its turn")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="the numbers of workers")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of PostgreSQL")
    parser.add_argument("--bare", action="store_true", help="also insert the rows of each run without triggers")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = folder / "workers.log"
        postgres = EmbeddedPostgres(folder / "postgres", **dict(each.split("=", 1) for each in options.set))
        stack.callback(postgres.stop)
        server = postgres.start()
        migrate(server, log)
        stack.enter_context(queue())
        connection = server.connect()
        rows = options.customers * ROWS_PER_CUSTOMER
        for _ in range(options.rounds):
            for workers in options.workers:
                [[last]], [[wal]] = connection.run(LAST_CUSTOMER), connection.run(WAL)
                assert postgres.process is not None
                seeded = seed(server, postgres.process.pid, options.customers, workers, log)
                print(f"{workers} workers: {rows:,} rows in {seeded.seconds:.2f} s, ", end="")
                wal = (connection.run(WAL)[0][0] - wal) / rows
                print(f"{seeded.processor:.2f} s of CPU, {wal:.0f} bytes of WAL per row, ", end="")
                print(f"longest pause {seeded.pause:.2f} s", flush=True)
                if options.bare:
                    bare = bare_inserts(server, last)
                    print(f"    bare insert {bare['bare insert']:.2f} s, COPY {bare['COPY']:.2f} s", flush=True)
        connection.close()


if __name__ == "__main__":
    main()
