"""What is billed: a mixed load from more processes than the machine has cores, and the processor time by process."""

import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.answers import AnswersDiffer
from benchmarks.data import Data, variables
from benchmarks.events import Call, create_order, get_order, list_orders
from benchmarks.progress import Progress
from benchmarks.workers import Implementation

PROCESSES = 8
SHARES = {"get": 0.7, "list": 0.2, "create": 0.1}
WARM_UP = 60


class Mixed(NamedTuple):
    """function_seconds, postgres_seconds: processor time per 1,000 requests."""

    per_second: float
    function_seconds: float
    postgres_seconds: float


def mixed(
    data: Data,
    postmaster: int,
    implementations: list[Implementation],
    requests: int,
    rounds: int,
    log: Path,
    progress: Progress,
) -> dict[str, Mixed]:
    """Medians over rounds in turn, each with this many requests per process."""
    found: dict[str, list[Mixed]] = {each.name: [] for each in implementations}
    chance = random.Random(7)
    for _ in range(rounds):
        for each in implementations:
            found[each.name].append(_round(data, postmaster, each, requests, chance, log))
            progress.move()
    return {name: Mixed(*map(statistics.median, zip(*taken, strict=True))) for name, taken in found.items()}


def _round(data: Data, postmaster: int, each: Implementation, requests: int, chance: random.Random, log: Path) -> Mixed:
    functions = ("get_order", "list_orders", "create_order")
    workers = [each.start(variables(data.server), log, *functions) for _ in range(PROCESSES)]
    for worker in workers:
        worker.send({"events": [each.message(call) for call in _calls(data, WARM_UP, chance)]})
    for worker in workers:
        worker.receive()
    before = cpu_seconds(postmaster)
    for worker in workers:
        worker.send({"events": [each.message(call) for call in _calls(data, requests, chance)]})
    reports = [worker.receive() for worker in workers]
    postgres = cpu_seconds(postmaster) - before
    for worker in workers:
        worker.stop()
    if failed := sum(report["failed"] for report in reports):
        raise AnswersDiffer(f"mixed load: {each.title} failed {failed} requests")
    thousands = requests * PROCESSES / 1000
    return Mixed(
        per_second=sum(requests / report["seconds"] for report in reports),
        function_seconds=sum(report["cpu_seconds"] for report in reports) / thousands,
        postgres_seconds=postgres / thousands,
    )


def _calls(data: Data, count: int, chance: random.Random) -> list[Call]:
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(count * share))]
    chance.shuffle(kinds)
    make: dict[str, Callable[[], Call]] = {
        "get": lambda: get_order(chance.randint(*data.orders)),
        "list": list_orders,
        "create": lambda: create_order(chance.randint(*data.customers)),
    }
    return [make[kind]() for kind in kinds]


def cpu_seconds(postmaster: int) -> float:
    """The processor time of PostgreSQL: of its processes, including those that have ended."""
    parent = psutil.Process(postmaster)
    total = parent.cpu_times()
    seconds: float = total.user + total.system + total.children_user + total.children_system
    for child in parent.children(recursive=True):
        times = child.cpu_times()
        seconds += times.user + times.system
    return seconds
