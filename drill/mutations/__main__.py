"""Whether the drill would notice: copies of the service, each without one of its safeguards, are drilled until one finding.

`make drill MUTATE=all`, or the names of some, separated by commas. Each is struck by those faults that its safeguard is for.
`MUTATE=controls` drills the service as it is in each of these ways, in which nothing may be found.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from contract.functions import ROOT
from drill.checks import MOST_TOLD
from drill.mutations import MUTATIONS
from drill.mutations.kit import Mutation
from drill.note import write_section
from drill.play import Plan, play
from drill.stage import SENDER, Stage

SECONDS = 14
RESULTS = ROOT / ".local" / "drills" / "mutations.json"
CONTROL = "control:"
AT_ONCE = 2


def mutated(root: Path, mutation: Mutation) -> None:
    for name in ("contract", "functions", "layers", "local"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.json", root)
    for file, old, new in mutation.edits:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text, f"{file} does not have: {old}"
        (root / file).write_text(text.replace(old, new), encoding="utf-8")


def convict(name: str, seed: int = 1) -> dict[str, list[str]]:
    """What the drill found, by check. After CONTROL a name is drilled in the same way, with its safeguard in place."""
    mutation = MUTATIONS[name.removeprefix(CONTROL)]
    if name.startswith(CONTROL):
        mutation = replace(mutation, edits=())
    seeding = {"customers": mutation.customers, "orders_per_customer": 10, "items_per_order": 3} if mutation.customers else {}
    plan = Plan(
        seed,
        SECONDS,
        6,
        mutation.faults,
        pause=(0.2, 0.8),
        wants=dict(mutation.wants),
        seeding=seeding,
        patience=mutation.patience,
        seeder={mutation.seeder: 1},
        webhooks=mutation.webhooks,
    )
    with tempfile.TemporaryDirectory(prefix="orders-mutation-") as folder:
        mutated(Path(folder) / "project", mutation)
        (Path(folder) / "stage").mkdir()
        sender = SENDER if mutation.mails else ""
        with Stage(Path(folder) / "stage", Path(folder) / "project", pooled=mutation.pooled, sender=sender) as stage:
            return dict(play(stage, plan, _quiet).verdict.findings)


def controls() -> list[str]:
    """One for each way in which a mutation is drilled."""
    ways = {
        (way.faults, way.wants, way.customers, way.pooled, way.webhooks, way.mails): name for name, way in MUTATIONS.items()
    }
    return [f"{CONTROL}{name}" for name in ways.values()]


def told(findings: dict[str, list[str]]) -> str:
    return "; ".join(f"{check} ({len(found)})" for check, found in findings.items())


def write_down(convicted: dict[str, str], say: Callable[[str], None]) -> None:
    """What these and former runs found."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known |= convicted
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(known), encoding="utf-8")
    told_of = {name: known[name] or "**nothing**" for name in MUTATIONS if name in known}
    rows = [f"| {MUTATIONS[name].safeguard} (`{name}`) | {text} |" for name, text in told_of.items()]
    sum_up = f"{sum(bool(known.get(name)) for name in MUTATIONS)} of {len(MUTATIONS)} convicted."
    lines = ["| without | convicted by |", "|---|---|", *rows, "", sum_up]
    say("\n".join(["", *lines]))
    write_section("mutations", "make drill MUTATE=all", lines)


def _quiet(_: str) -> None:
    pass


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else "all"
    names = {"all": list(MUTATIONS), "controls": controls()}.get(wanted) or wanted.split(",")
    if unknown := {name.removeprefix(CONTROL) for name in names} - MUTATIONS.keys():
        sys.exit(f"There are {', '.join(MUTATIONS)}, not {', '.join(sorted(unknown))}")
    convicted: dict[str, str] = {}
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    with ProcessPoolExecutor(int(os.environ.get("AT_ONCE", AT_ONCE)), max_tasks_per_child=1) as pool:
        begun = time.monotonic()
        runs = {pool.submit(convict, name): name for name in names}
        for run in as_completed(runs):
            name = runs[run]
            try:
                findings = run.result()
            except Exception as reason:
                findings = {}
                say(f"{name}: the drill did not come to its end: {reason!r}")
            broken = MUTATIONS[name.removeprefix(CONTROL)].breaks
            convicted[name] = told(
                {check: found for check, found in findings.items() if check.startswith(broken) or name.startswith(CONTROL)}
            )
            say(f"{time.monotonic() - begun:6.0f} s  {name}: {told(findings) or 'nothing found'}")
            if not convicted[name] or name.startswith(CONTROL):
                for finding in [text for found in findings.values() for text in found[:MOST_TOLD]]:
                    say(f"          - {finding[:300]}")
    write_down({name: found for name, found in convicted.items() if not name.startswith(CONTROL)}, say)
    sys.exit(any(bool(convicted[name]) is name.startswith(CONTROL) for name in names))


if __name__ == "__main__":
    main()
