"""The measurements. Implementations are called in turn, so that whatever slows the machine slows all of them."""

import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.answers import AnswersDiffer, compare
from benchmarks.data import Data, variables
from benchmarks.events import Call, get_order, start_seed
from benchmarks.limits import bare_inserts
from benchmarks.progress import Progress
from benchmarks.scenarios import Scenario
from benchmarks.seeding import ITEMS_PER_ORDER, ORDERS_PER_CUSTOMER, Seeder
from benchmarks.workers import OURS, Implementation, Worker

# Enough for Node to compile the hot code.
WARM_UP = 50
# The minimum for a slow peer at a large size, where the time does not suffice for all rounds.
LEAST_ROUNDS = 5
LAST_CUSTOMER_AND_ITEMS = "SELECT (SELECT max(id) FROM customers), (SELECT count(*) FROM order_items)"
EVENTS = """
SELECT coalesce(json_agg(json_build_array(type, sequence, actor, changes) ORDER BY sequence), '[]') FROM events
WHERE order_id = :id
"""


@dataclass
class Pool:
    """The warm workers: one per peer, and one per function of ours."""

    data: Data
    implementations: list[Implementation]
    log: Path
    workers: dict[tuple[str, str], Worker] = field(default_factory=dict)

    def call(self, implementation: Implementation, call: Call) -> tuple[float, dict[str, Any]]:
        key = (implementation.name, call.function if implementation.one_function_each else "")
        if key not in self.workers:
            self.workers[key] = implementation.start(variables(self.data.server), self.log, call.function)
        return self.workers[key].call(implementation.message(call))

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()


def check(pool: Pool, scenario: Scenario) -> None:
    """Every implementation answers as this service does, and a write leaves the same events behind."""
    # Ours comes first and is compared with itself, too, which finds what differs from call to call.
    ours: dict[str, Any] = {}
    for each, call in scenario.calls([OURS, *pool.implementations]):
        _, theirs = pool.call(each, call)
        ours = ours or theirs
        if not scenario.writes:
            compare(each.title, scenario.title, theirs, ours)
            continue
        if theirs["statusCode"] != ours["statusCode"]:
            raise AnswersDiffer(f"{scenario.title}: {each.title} answers {theirs}")
        # Each changed a different order, and must show it as our GET does.
        _, shown = pool.call(OURS, get_order(json.loads(theirs["body"])["id"]))
        compare(each.title, scenario.title, {**theirs, "statusCode": 200}, shown)
        if _changes(pool, theirs) != _changes(pool, ours):
            raise AnswersDiffer(f"{scenario.title}: {each.title} records {_changes(pool, theirs)}, we {_changes(pool, ours)}")


def _changes(pool: Pool, answer: dict[str, Any]) -> Any:
    connection = pool.data.server.connect()
    [[events]] = connection.run(EVENTS, id=json.loads(answer["body"])["id"])
    connection.close()
    return events


def warm(pool: Pool, scenario: Scenario, rounds: int, seconds: float, progress: Progress) -> dict[str, float]:
    """The median time of a call in seconds, by implementation. Stops after so many rounds, or seconds if that is earlier."""
    times: dict[str, list[float]] = {each.name: [] for each in pool.implementations}
    start = time.monotonic()
    for number in range(-WARM_UP, rounds):
        late = time.monotonic() - start > seconds
        if late and number < -LEAST_ROUNDS:
            continue
        if late and number >= LEAST_ROUNDS:
            break
        # Whoever comes first finds the shared pages less warm than the others do.
        first = number % len(pool.implementations)
        for each, call in scenario.calls(pool.implementations[first:] + pool.implementations[:first]):
            taken, answer = pool.call(each, call)
            if answer["statusCode"] >= 300:
                raise AnswersDiffer(f"{scenario.title}: {each.title} answers {answer}")
            if number >= 0:
                times[each.name].append(taken)
        progress.move()
    return {name: statistics.median(taken) for name, taken in times.items()}


def again(pool: Pool, scenario: Scenario, calls: int) -> float:
    """The median time in seconds of our call when no other program ran since the last one."""
    return statistics.median(pool.call(OURS, scenario.call())[0] for _ in range(calls))


def seeding(pool: Pool, customers: int, progress: Progress) -> dict[str, float]:
    """Seconds in which each creates the same number of rows, and what PostgreSQL alone needs for the rows of ours."""
    database = variables(pool.data.server, "orders_seeder")
    connection = pool.data.server.connect(timeout=3600)
    taken = {}
    for each in pool.implementations:
        progress.move()
        seeder, worker = Seeder(database, pool.log), each.start(database, pool.log)
        # A run with one customer first, so that no cold start is timed.
        if each is OURS:
            sum(seeder.seed(1))
        else:
            worker.call(each.message(start_seed(1, ORDERS_PER_CUSTOMER, ITEMS_PER_ORDER)))
        [[last, before]] = connection.run(LAST_CUSTOMER_AND_ITEMS)
        if each is OURS:
            taken[each.name] = sum(seeder.seed(customers))
            taken |= bare_inserts(pool.data.server, last)
        else:
            message = each.message(start_seed(customers, ORDERS_PER_CUSTOMER, ITEMS_PER_ORDER))
            taken[each.name], answer = worker.call(message)
            if answer["statusCode"] >= 300:
                raise AnswersDiffer(f"seed: {each.title} answers {answer}")
        [[_, after]] = connection.run(LAST_CUSTOMER_AND_ITEMS)
        if after - before != customers * ORDERS_PER_CUSTOMER * ITEMS_PER_ORDER:
            raise AnswersDiffer(f"seed: {each.title} made {after - before} items")
        seeder.stop()
        worker.stop()
        connection.run("CHECKPOINT")
    connection.close()
    return taken


class Cold(NamedTuple):
    """imported: from the import to the first answer. started: from the start of the process."""

    imported: float
    started: float


def cold(
    database: dict[str, str], implementations: list[Implementation], call: Call, runs: int, log: Path, progress: Progress
) -> dict[str, Cold]:
    """Median times of a new process's first answer, including its connection to the database."""
    times: dict[str, list[Cold]] = {each.name: [] for each in implementations}
    for number in range(runs + 1):
        for each in implementations:
            start = time.perf_counter()
            worker = each.start(database, log, call.function)
            imported, answer = worker.call(each.message(call))
            taken = Cold(imported, time.perf_counter() - start)
            worker.stop()
            if answer["statusCode"] >= 300:
                raise AnswersDiffer(f"cold: {each.title} answers {answer}")
            # The first process of each reads its files from the disk.
            if number:
                times[each.name].append(taken)
        progress.move()
    return {
        name: Cold(statistics.median(one.imported for one in taken), statistics.median(one.started for one in taken))
        for name, taken in times.items()
    }
