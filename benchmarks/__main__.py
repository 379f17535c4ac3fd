"""`make bench`: this service and its peers, doing the same work on the same PostgreSQL in the same run."""

import argparse
import compileall
import logging
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.data import Data, ask_for_passwords, prepare, variables
from benchmarks.events import get_order, summarize_orders
from benchmarks.limits import pgbench, redis
from benchmarks.measure import Pool, again, check, cold, seeding, warm
from benchmarks.mixed import mixed
from benchmarks.progress import Progress
from benchmarks.report import print_tables, write_document
from benchmarks.results import Results, machine, versions
from benchmarks.scenarios import Deep, scenarios
from benchmarks.seeding import queue
from benchmarks.tls import TlsFront
from benchmarks.workers import COLD_VARIANTS, DEPTHS, FUNCTIONS, OURS, PEER_IMPLEMENTATIONS, PEERS, ROOT
from local.postgres import EmbeddedPostgres

# Typical of an instance with a few gigabytes; the laptop's own settings leave the memory to other programs.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
DEEP_PAGE = 10_000 * 50
SEEDED_CUSTOMERS = 10_000
# Of these it is measured which part of a call takes how long.
TAKEN_APART = ("list", "email_rare_domain", "get", "summary", "create")


class Run:
    """A run with one size, from an empty database to the results."""

    def __init__(self, stack: ExitStack, options: argparse.Namespace) -> None:
        self.stack, self.options = stack, options
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.log = self.folder / "workers.log"
        self.implementations = [OURS, *(each for each in PEER_IMPLEMENTATIONS if each.needs.exists())]
        self.variants = [each for each in COLD_VARIANTS if each.needs.exists()]
        self.progress = Progress(steps=23)
        stack.callback(self.progress.finish)
        self.postgres = EmbeddedPostgres(self.folder / "postgres", **POSTGRES)
        stack.callback(self.postgres.stop)
        self.server = self.postgres.start()
        ask_for_passwords(self.postgres)
        stack.enter_context(queue())
        titles = {each.name: each.title for each in (*self.implementations, *self.variants)}
        titles |= {"limit": "PostgreSQL alone", "redis": "Redis GET", "bare insert": "bare insert", "COPY": "COPY"}
        self.results = Results(options.size, options.command, titles, machine())

    def __call__(self) -> Results:
        options = self.options
        # Every write cancels a different order: in each round, and during warm-up.
        cancellable = (options.rounds + 100) * (len(self.implementations) + 1)
        data = prepare(self.server, options.size, cancellable, self.log, self.progress)
        connection = self.server.connect()
        self.results.versions = versions(connection.run("SHOW server_version")[0][0])
        connection.close()
        pool = Pool(data, self.implementations, self.log)
        self.stack.callback(pool.stop)
        self.warm(pool, data)
        self.cold(data)
        self.progress.say("mixed load")
        assert self.postgres.process is not None
        self.results.mixed = dict(
            mixed(
                data,
                self.postgres.process.pid,
                self.implementations,
                options.mixed,
                options.mixed_rounds,
                self.log,
                self.progress,
            )
        )
        self.progress.say("seeding")
        customers = min(SEEDED_CUSTOMERS, options.size // 10)
        self.results.seed[f"seed {customers:,} customers with 10 orders of 3 items"] = seeding(pool, customers, self.progress)
        return self.results

    def warm(self, pool: Pool, data: Data) -> None:
        options = self.options
        self.progress.say("paging to a deep page")
        deep = Deep.walk(min(DEEP_PAGE, data.size * 9 // 10), lambda call: pool.call(OURS, call)[1])
        _, summary = pool.call(OURS, summarize_orders())
        cache = self.stack.enter_context(redis(summary["body"], self.folder))
        everybody = list(pool.implementations)
        for scenario in scenarios(data, deep):
            self.progress.say(scenario.title)
            pool.implementations = everybody + [cache] * (cache is not None and scenario.name == "summary")  # type: ignore[list-item]
            check(pool, scenario)
            pool.implementations += DEPTHS.values() if scenario.name in TAKEN_APART else []
            found = warm(pool, scenario, options.rounds, options.seconds, self.progress)
            if scenario.name in TAKEN_APART:
                parts = {depth: found.pop(depth) for depth in DEPTHS}
                whole = {OURS.name: found[OURS.name], "again": again(pool, scenario, options.rounds)}
                self.results.depths[scenario.title] = {**parts, **whole}
            found["limit"] = pgbench(data, scenario, options.rounds, options.seconds, self.log)
            self.results.warm[scenario.title] = found
        pool.implementations = everybody

    def cold(self, data: Data) -> None:
        front = TlsFront(self.server, self.folder)
        self.stack.callback(front.stop)
        plain = variables(self.server)
        for title, database in (("without TLS", plain), ("with TLS", {**plain, **front.variables})):
            self.progress.say(f"cold, {title}")
            everybody = [*self.implementations, *self.variants]
            call = get_order(data.orders[0])
            for name, taken in cold(database, everybody, call, self.options.cold, self.log, self.progress).items():
                self.results.cold.setdefault(f"import to first answer, {title}", {})[name] = taken.imported
                self.results.cold.setdefault(f"process to first answer, {title}", {})[name] = taken.started


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="orders")
    parser.add_argument("--rounds", type=int, default=300, help="maximum number of calls per scenario")
    parser.add_argument("--seconds", type=float, default=20, help="approximate time per scenario")
    parser.add_argument("--cold", type=int, default=15, help="new processes per implementation")
    parser.add_argument("--mixed", type=int, default=300, help="requests of the mixed load per process")
    parser.add_argument("--mixed-rounds", type=int, default=3, help="repetitions of the mixed load")
    parser.add_argument("--command", default="make bench", help="the command that the document names")
    parser.add_argument("--document", action="store_true", help="write docs/benchmarks.md and its plots")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for folder in (ROOT / "layers", FUNCTIONS, PEERS):
        compileall.compile_dir(folder, quiet=1)
    if shutil.which("redis-server") is None:
        print("redis-server (a Debian package) is not installed: the summary is not compared with a cache")
    with ExitStack() as stack:
        results = Run(stack, options)()
    print_tables(results)
    if options.document:
        write_document(results)


if __name__ == "__main__":
    main()
