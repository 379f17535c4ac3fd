"""The measurements. Those who are compared are called in turn, so that what slows the machine slows all of them."""

import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.answers import AnswersDiffer, compare
from benchmarks.data import Data, variables
from benchmarks.events import Call, get_order
from benchmarks.progress import Progress
from benchmarks.scenarios import Scenario
from benchmarks.workers import OURS, Implementation, Worker

# Enough for Node to have compiled what runs often.
WARM_UP = 50
# What a slow peer gets at a large size, where the time would not suffice for all rounds.
LEAST_ROUNDS = 5
EVENTS = (
    "SELECT coalesce(json_agg(json_build_array(type, actor, changes) ORDER BY id), '[]') FROM order_events WHERE order_id = :id"
)


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
    """Everybody answers as this service does, and a write leaves the same events behind."""
    call = scenario.call()
    _, ours = pool.call(OURS, call)
    for each in pool.implementations:
        _, theirs = pool.call(each, scenario.call() if scenario.writes else call)
        if not scenario.writes:
            compare(each.title, scenario.title, theirs, ours)
            continue
        if theirs["statusCode"] != ours["statusCode"]:
            raise AnswersDiffer(f"{scenario.title}: {each.title} answers {theirs}")
        # Each changed an order of its own, and shows it as our GET does.
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
    """The median of a call's seconds, by implementation; at most so many rounds, and no new one after so many seconds."""
    times: dict[str, list[float]] = {each.name: [] for each in pool.implementations}
    start = time.monotonic()
    for number in range(-WARM_UP, rounds):
        if number >= LEAST_ROUNDS and time.monotonic() - start > seconds:
            break
        call = scenario.call()
        # Who comes first finds the pages that it shares with the others less warm.
        first = number % len(pool.implementations)
        for each in pool.implementations[first:] + pool.implementations[:first]:
            taken, answer = pool.call(each, scenario.call() if scenario.writes else call)
            if answer["statusCode"] >= 300:
                raise AnswersDiffer(f"{scenario.title}: {each.title} answers {answer}")
            if number >= 0:
                times[each.name].append(taken)
        progress.move()
    return {name: statistics.median(taken) for name, taken in times.items()}


class Cold(NamedTuple):
    """imported: from the import to the first answer. started: from the start of the process."""

    imported: float
    started: float


def cold(
    database: dict[str, str], implementations: list[Implementation], call: Call, runs: int, log: Path, progress: Progress
) -> dict[str, Cold]:
    """Medians of a new process's first answer, its connection to the database included."""
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
            # The first of each reads its files from the disk.
            if number:
                times[each.name].append(taken)
        progress.move()
    return {
        name: Cold(statistics.median(one.imported for one in taken), statistics.median(one.started for one in taken))
        for name, taken in times.items()
    }
