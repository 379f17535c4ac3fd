"""A drill: the load runs, faults strike by a seeded schedule, snapshots are judged, and in the end everything is."""

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from contract import redrive
from drill import exports, faults, feed, mails, people, wants, webhooks
from drill.checks import Evidence, Verdict, check_all, try_snapshot
from drill.clients import Client, World
from drill.journal import Journal
from drill.parts import BESIDES, FAULTS, UNFINISHED, WEIGHTS, beside
from drill.stage import ALL_QUEUES, QUEUES, UNREACHABLE, Stage

# They register what a drill is made of.
PARTS = (exports, faults, feed, mails, people, wants, webhooks)

RECOVERY_SECONDS = 30
SNAPSHOT_PAUSE_SECONDS = 3
CUSTOMERS = 3
# So long nothing may be finished before it is said that nothing goes on.
STANDSTILL_SECONDS = 4
LATER = (
    "UPDATE webhook_deliveries SET leased_until = now() WHERE leased_until > now()",
    "UPDATE mails SET leased_until = now() WHERE leased_until > now()",
    "UPDATE outbox SET due_at = now() WHERE due_at > now() AND due_at - now() < interval '6 hours'",
)
SEEDED_ROWS = "SELECT coalesce(sum(row_count), 0) FROM seed_chunks WHERE finished_at IS NOT NULL"
MAILS_SENT = "SELECT count(*) FROM mails WHERE status = 'sent'"
ORDERS = "acknowledged orders"
# What Stage.counts counts, and the fault that adds to it.
CAUSES = {
    "ends of PostgreSQL": "postgres_restarted_immediately",
    "functions killed": "functions_killed",
    "relays and workers killed": "workers_and_relay_killed",
    "messages lost": "queue_lost_messages",
}


@dataclass(frozen=True)
class Plan:
    """seconds: how long faults strike, at most. faults: names, each at least once in a random order if there is time for it.

    goals: instead of a schedule, how many of what faults have to reach, by what Stage.counts counts, and how many ORDERS; the
    drill ends then. webhooks: how many receivers there are. think: for how many seconds clients wait between what they want.
    """

    seed: int
    seconds: float
    clients: int = 6
    faults: tuple[str, ...] = tuple(FAULTS)
    pause: tuple[float, float] = (0.5, 3)
    # For how many seconds after the load clients go on asking, and work may be left.
    patience: float = 120
    goals: dict[str, int] = field(default_factory=dict)
    wants: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    seeder: dict[str, int] = field(default_factory=lambda: {"seed": 1})
    seeding: dict[str, int] = field(
        default_factory=lambda: {"customers": 1300, "orders_per_customer": 10, "items_per_order": 3}
    )
    webhooks: int = 2
    think: float = 0


@dataclass(frozen=True)
class Strike:
    """begun: seconds since the beginning of the load. recovered: seconds from the end of the cause to the first write."""

    begun: float
    lasted: float
    recovered: float
    name: str
    what: str


@dataclass
class Outcome:
    plan: Plan
    journal: Journal
    verdict: Verdict
    strikes: list[Strike] = field(default_factory=list)
    lasted: float = 0
    figures: dict[str, str] = field(default_factory=dict)
    # Of the cloud, every few seconds of the load.
    megabytes: list[float] = field(default_factory=list)


def schedule(plan: Plan) -> list[str]:
    """More than fit: every fault once before any comes again, each time in another order."""
    chance = random.Random(f"{plan.seed} schedule")
    found: list[str] = []
    while plan.faults and len(found) < plan.seconds:
        found += chance.sample(plan.faults, len(plan.faults))
    return found


def play(stage: Stage, plan: Plan, say: Any = print) -> Outcome:
    journal = Journal()
    outcome = Outcome(plan, journal, Verdict())
    world = World(stage.url, journal, seed=plan.seeding, webhooks=plan.webhooks, think=plan.think)
    world.customers = [
        stage.sql("INSERT INTO customers (email, name) VALUES (:email, 'hot') RETURNING id", email=f"{n}@start.example.com")[0][
            0
        ]
        for n in range(CUSTOMERS)
    ]
    chance = random.Random(f"{plan.seed} faults")
    evidence = Evidence(stage, world, outcome.verdict)
    wait_for_write(stage, chance)
    before = (stage.megabytes(), connections(stage))
    clients = [Client(world, f"c{n}", str(plan.seed), plan.wants) for n in range(plan.clients)]
    if plan.seeding:
        clients.append(Client(world, "seeder", str(plan.seed), plan.seeder))
    beside_them = [
        threading.Thread(target=go_on, args=(stage, world, f"{plan.seed} {go_on.__name__}"), daemon=True) for go_on in BESIDES
    ]
    watching = threading.Thread(target=watch, args=(stage, world, outcome), daemon=True)
    others = [*beside_them, watching]
    for thread in (*clients, *others):
        thread.start()
    strike_all(stage, plan, chance, outcome, say)
    world.end(plan.patience / 2)
    begun = time.monotonic()
    settle(stage, [*clients, *others], plan.patience, say)
    say(f"{time.monotonic() - journal.begun:6.1f} s  nothing goes on any more, {time.monotonic() - begun:.0f} s after the load")
    outcome.lasted = time.monotonic() - journal.begun
    check_all(evidence)
    weigh(stage, outcome, before)
    return outcome


def strike_all(stage: Stage, plan: Plan, chance: random.Random, outcome: Outcome, say: Any) -> None:
    started = outcome.journal.begun
    for name in towards(stage, plan, chance, outcome.journal) if plan.goals else schedule(plan):
        time.sleep(chance.uniform(*plan.pause))
        if time.monotonic() > started + plan.seconds:
            break
        # What it ends by itself is a finding; the drill goes on, so that there is a report.
        outcome.verdict.note("PostgreSQL only ends by a fault", stage.revive_postgres())
        begun = time.monotonic()
        try:
            what = FAULTS[name](stage, random.Random(chance.random()))
        except UNREACHABLE as error:
            what = f"{name} found no PostgreSQL: {error!r}"
            outcome.verdict.note("PostgreSQL only ends by a fault", [what], 0)
            stage.proxy.answers = "forward"
        ended = time.monotonic()
        recovered = wait_for_write(stage, chance)
        strike = Strike(begun - started, ended - begun, recovered, name, what)
        outcome.strikes.append(strike)
        outcome.verdict.note(
            "the service recovers by itself",
            [f"not within {RECOVERY_SECONDS} s: {what}"] if recovered > RECOVERY_SECONDS else [],
        )
        say(f"{strike.begun:6.1f} s  {what}; the next write {recovered:.1f} s later")
    if plan.goals:
        short = missing(stage, plan, outcome.journal)
        found = [f"{plan.goals[name] - count} of {plan.goals[name]}: {name}" for name, count in short.items()]
        outcome.verdict.note("as many faults as were wanted", found, len(plan.goals))


def missing(stage: Stage, plan: Plan, journal: Journal) -> dict[str, int]:
    """What is left of the goals."""
    made = Counter({ORDERS: sum(operation.succeeded for operation in journal.of("create_order"))}) + stage.counts
    return {name: count - made[name] for name, count in plan.goals.items() if made[name] < count}


def towards(stage: Stage, plan: Plan, chance: random.Random, journal: Journal) -> Iterator[str]:
    """One of the faults that still lead to a goal, until all are reached. Messages are lost first: later there may be none."""
    if "messages lost" in plan.goals:
        yield from ["queue_lost_messages"] * 2
    while left := missing(stage, plan, journal):
        causes = [CAUSES[name] for name in left if name in CAUSES] or [CAUSES[name] for name in plan.goals if name in CAUSES]
        yield chance.choice(causes)


def wait_for_write(stage: Stage, chance: random.Random) -> float:
    begun = time.monotonic()
    while not stage.answers_a_write(chance) and time.monotonic() < begun + RECOVERY_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - begun


def watch(stage: Stage, world: World, outcome: Outcome) -> None:
    while not world.over.wait(SNAPSHOT_PAUSE_SECONDS):
        try_snapshot(stage, outcome.verdict)
        # A cloud that is just being started again has none.
        with suppress(psutil.Error):
            outcome.megabytes.append(stage.megabytes())


@beside
def write_by_hand(stage: Stage, world: World, seed: str) -> None:
    """Somebody with SQL and the owner's rights, who knows nothing of totals."""
    chance = random.Random(seed)
    number = 0
    while not world.over.wait(0.3):
        with suppress(*UNREACHABLE):
            number += 1
            with stage.session() as connection:
                hand(connection, number, chance)


def hand(connection: Any, number: int, chance: random.Random) -> None:
    connection.run("BEGIN")
    [[customer]] = connection.run(
        "INSERT INTO customers (email, name) VALUES (:email, 'hand') RETURNING id", email=f"{number}@hand.example.com"
    )
    [[order]] = connection.run("INSERT INTO orders (customer_id) VALUES (:customer) RETURNING id", customer=customer)
    connection.run(
        "INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)"
        " SELECT :order, 'HAND', n, 100 FROM generate_series(1, :items) AS n",
        order=order,
        items=chance.randint(1, 4),
    )
    connection.run("COMMIT")
    change = chance.choice(
        [
            "UPDATE order_items SET quantity = quantity + 1 WHERE order_id = :order",
            "DELETE FROM order_items WHERE order_id = :order AND quantity = 1",
            "UPDATE orders SET status = 'cancelled' WHERE id = :order",
        ]
    )
    connection.run(change, order=order)


def settle(stage: Stage, threads: list[threading.Thread], patience: float, say: Any) -> None:
    """Until clients have been told and all work is done. Where nothing goes on any more, time passes as it would in a day."""
    until = time.monotonic() + patience
    for thread in threads:
        thread.join(max(1, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        say("some clients have not come to an end")
    until, least, since, stood_still = time.monotonic() + patience, float("inf"), time.monotonic(), 0
    while time.monotonic() < until:
        with suppress(*UNREACHABLE):
            left = sum(
                stage.sql(f"SELECT count(*) FROM ({statement}) AS unfinished")[0][0] for statement in UNFINISHED.values()
            )
            if not left:
                return
            if left < least:
                least, since = left, time.monotonic()
            elif time.monotonic() > since + STANDSTILL_SECONDS and not stage.waiting():
                empty_queues(stage) if not stood_still else let_time_pass(stage)
                stood_still, since = stood_still + 1, time.monotonic()
        time.sleep(0.5)


def empty_queues(stage: Stage) -> None:
    """Reports that are dead letters are sent again, as the runbook says. A killed worker's mails would return out of date."""
    with stage.aws("sqs") as client:
        for name, url in stage.known()["dead_letters"].items():
            if name.endswith("_reports"):
                redrive.send_again(client, url)
        for name in set(ALL_QUEUES) - set(QUEUES):
            client.purge_queue(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"])


def let_time_pass(stage: Stage) -> None:
    """All leases and pauses end."""
    for statement in LATER:
        stage.sql(statement)


def connections(stage: Stage) -> int:
    return int(stage.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'orders\\_%'")[0][0])


def weigh(stage: Stage, outcome: Outcome, before: tuple[float, int]) -> None:
    """What is left of it all: memory and connections."""
    megabytes, count = stage.megabytes(), connections(stage)
    environments = len(stage.environments())
    outcome.verdict.note(
        "no connection is left behind",
        [f"{count} connections of {environments} functions"] if count > environments + (6 * 4 if stage.pooled else 0) else [],
    )
    # What the queue remembers of messages, and the console of requests, is little. A long drill needs no more than a short one.
    grown = megabytes - before[0]
    outcome.verdict.note("the cloud's memory stays flat", [f"grew by {grown:.0f} MB"] if grown > 60 else [])
    quarter = len(outcome.megabytes) // 4
    quarters = [outcome.megabytes[n * quarter : (n + 1) * quarter] for n in range(4) if quarter]
    recoveries = sorted(strike.recovered for strike in outcome.strikes)
    attempts = outcome.journal.attempts()
    decided = sum(attempt.decided for _, attempt in attempts)
    outcome.figures = {
        "faults": str(len(outcome.strikes)),
        **{name: str(stage.counts[name]) for name in CAUSES},
        "events delivered to receivers": str(sum(len(hook.worked) for hook in stage.receiver.hooks.values())),
        "mails": str(stage.sql(MAILS_SENT)[0][0]),
        mails.TWICE: str(stage.counts[mails.TWICE]),
        "rows seeded": str(stage.sql(SEEDED_ROWS)[0][0]),
        ORDERS: str(sum(operation.succeeded for operation in outcome.journal.of("create_order"))),
        "requests": str(len(attempts)),
        "acknowledged writes": str(sum(o.succeeded and o.method != "GET" for o in outcome.journal.operations)),
        "requests without a decision, asked again": str(len(attempts) - decided),
        "longest way back to the next write": f"{recoveries[-1]:.1f} s" if recoveries else "-",
        "median way back to the next write": f"{recoveries[len(recoveries) // 2]:.1f} s" if recoveries else "-",
        "memory of the gateway and queue": f"{before[0]:.0f} MB before, {megabytes:.0f} MB after",
        "… meanwhile, in each quarter": f"{', '.join(f'{statistics.median(part):.0f}' for part in quarters) or '-'} MB",
        "connections of functions": f"{before[1]} before, {count} after",
    }
