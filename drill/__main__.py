"""Strikes the laptop cloud with faults under load, and judges what it lost, doubled or told wrongly: `make drill`.

Settings, all optional, as environment variables:

  DRILL=long        how long: short (under 3 minutes), usual (under 10 minutes), long (an hour); or a number of seconds.
                    hard: eight writers, a million rows being seeded, and no end before so many faults of each kind
                    events: until 10,000 orders have been written, while relays, workers and PostgreSQL are killed
  SEED=…            repeats the schedule of an earlier drill
  FAULTS=…          only these faults, separated by commas; `make drill FAULTS=list` names them
  ORDERS=10000      how many orders DRILL=events writes, on a machine that others need as well
  DOCUMENT=1        writes the figures into docs/reliability.md
"""

import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from contract.functions import ROOT
from drill.note import table, write_section
from drill.parts import FAULTS
from drill.play import ORDERS, Plan, play
from drill.report import judged, write_report
from drill.stage import CHAOS, SENDER, Stage

SECONDS = {"short": 60, "usual": 420, "long": 3400, "hard": 900, "events": 2400}
# What clients make in such a time is told soon after.
SHORT_SECONDS = 120
REPORTS = ROOT / ".local" / "drills"
# A million rows: 25,000 customers with three orders each, of twelve items.
MILLION = {"customers": 25_000, "orders_per_customer": 3, "items_per_order": 12}
HARD = {"ends of PostgreSQL": 20, "functions killed": 200, "relays and workers killed": 100, "messages lost": 10}
EVENTS = {ORDERS: 10_000, "ends of PostgreSQL": 10, "relays and workers killed": 90}
# Orders above all: each is an event, a delivery and a mail.
ORDERING = {"create_order": 12, "create_order_without_key": 4, "advance": 2, "add_item": 1, "create_customer": 1}


def plan() -> Plan:
    environment = os.environ
    length = environment.get("DRILL") or "usual"
    if length not in SECONDS and not length.isdigit():
        sys.exit(f"DRILL must be {', '.join(SECONDS)} or a number of seconds, not {length!r}")
    faults = tuple(filter(None, environment.get("FAULTS", "").split(","))) or tuple(FAULTS)
    if unknown := set(faults) - FAULTS.keys():
        sys.exit(f"FAULTS knows {', '.join(FAULTS)}, not {', '.join(sorted(unknown))}")
    seed = int(environment.get("SEED") or secrets.randbelow(10**6))
    if length == "hard":
        return Plan(
            seed,
            SECONDS[length],
            clients=8,
            pause=(0.2, 1),
            patience=600,
            goals=HARD,
            seeder={"seed_once": 1},
            seeding=MILLION,
        )
    if length == "events":
        return Plan(
            seed,
            SECONDS[length],
            pause=(5, 20),
            patience=1500,
            goals={**EVENTS, ORDERS: int(environment.get("ORDERS") or EVENTS[ORDERS])},
            wants=ORDERING,
            seeding={"customers": 400, "orders_per_customer": 10, "items_per_order": 3},
            webhooks=1,
            # On a calm machine clients that never think make four times as many events as the orders need, all to be told.
            think=0.1,
        )
    lasts = SECONDS.get(length) or int(length)
    patience = max(Plan.patience, lasts / 2)
    # Clients that never think make 40 events a second and more, and a laptop under faults tells two webhooks of half as many:
    # after an hour it would need two more.
    think = 0 if lasts <= SHORT_SECONDS else 0.5
    if length != "long":
        return Plan(seed, lasts, patience=patience, faults=faults, think=think)
    return Plan(seed, lasts, patience=patience, faults=faults, think=think, seeder={"seed": 1, "rest": 3})


def main() -> None:
    chosen = plan()
    # As by ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"The drill takes about {chosen.seconds / 60:.0f} minutes; repeat it with SEED={chosen.seed}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    chaos = "duplicate,delay,reorder" if chosen.goals else CHAOS
    with (
        tempfile.TemporaryDirectory(prefix="orders-drill-") as folder,
        Stage(Path(folder), disk=True, clock=not chosen.goals, chaos=chaos, sender=SENDER) as stage,
    ):
        try:
            outcome = play(stage, chosen)
        finally:
            (REPORTS / f"{chosen.seed}.log").write_text("".join(stage.output()))
    page = write_report(outcome, REPORTS)
    length = os.environ.get("DRILL") or "usual"
    orders = [f"ORDERS={chosen.goals[ORDERS]}"] if ORDERS in chosen.goals else []
    print(f"\nThe report: {page}")
    if outcome.verdict.clean:
        write_section(
            length if length in ("hard", "events", "long") else "drill",
            " ".join(["make drill", f"DRILL={length}", *orders, f"SEED={chosen.seed}"]),
            [*table(outcome.figures), *judged(outcome)],
        )
    sys.exit(not outcome.verdict.clean)


if __name__ == "__main__":
    main()
