"""`make bench`: this service beside its peers, the same work on the same PostgreSQL in the same run."""

import argparse
import compileall
import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.data import prepare, variables
from benchmarks.events import get_order
from benchmarks.measure import Pool, check, cold, warm
from benchmarks.progress import Progress
from benchmarks.report import Results, print_table
from benchmarks.scenarios import scenarios
from benchmarks.seeding import queue
from benchmarks.tls import TlsFront
from benchmarks.workers import COLD_VARIANTS, FUNCTIONS, OURS, PEER_IMPLEMENTATIONS, PEERS, ROOT
from local.postgres import EmbeddedPostgres

# As a small RDS instance has them; the laptop's own settings are for a machine that does other work, too.
POSTGRES = {"shared_buffers": "1GB", "max_wal_size": "8GB", "autovacuum": "off"}


def run(size: int, rounds: int, seconds: float, cold_runs: int) -> Results:
    """size: orders. rounds, seconds: at most so many calls of each scenario, and about so long."""
    implementations = [OURS, *(each for each in PEER_IMPLEMENTATIONS if each.needs.exists())]
    variants = [each for each in COLD_VARIANTS if each.needs.exists()]
    results = Results(size, {each.name: each.title for each in (*implementations, *variants)})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = folder / "workers.log"
        postgres = EmbeddedPostgres(folder / "postgres", **POSTGRES)
        stack.callback(postgres.stop)
        server = postgres.start()
        stack.enter_context(queue())
        progress = Progress(steps=2 + 15 + 2)
        stack.callback(progress.finish)
        data = prepare(server, size, 4 * (rounds + 100) * len(implementations), log, progress)
        pool = Pool(data, implementations, log)
        stack.callback(pool.stop)
        for scenario in scenarios(data):
            progress.say(scenario.title)
            check(pool, scenario)
            results.warm[scenario.title] = warm(pool, scenario, rounds, seconds, progress)
        front = TlsFront(server, folder)
        stack.callback(front.stop)
        call = get_order(data.orders[0])
        for title, database in (("cold", variables(server)), ("cold, TLS", {**variables(server), **front.variables})):
            progress.say(title)
            for name, taken in cold(database, [*implementations, *variants], call, cold_runs, log, progress).items():
                results.cold.setdefault(f"{title}: import to first answer", {})[name] = taken.imported
                results.cold.setdefault(f"{title}: process start to first answer", {})[name] = taken.started
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="orders")
    parser.add_argument("--rounds", type=int, default=300, help="calls of each scenario, at most")
    parser.add_argument("--seconds", type=float, default=20, help="for each scenario, about")
    parser.add_argument("--cold", type=int, default=15, help="new processes of each implementation")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for folder in (ROOT / "layers", FUNCTIONS, PEERS):
        compileall.compile_dir(folder, quiet=1)
    print_table(run(options.size, options.rounds, options.seconds, options.cold))


if __name__ == "__main__":
    main()
