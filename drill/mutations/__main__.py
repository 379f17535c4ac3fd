"""Whether the drill would notice: copies of the service, each without one of its safeguards, are drilled until one finding.

`make drill MUTATE=all`, or the names of some, separated by commas. Each is struck by those faults that its safeguard is for.
`MUTATE=controls` drills the service as it is in each of these ways, in which nothing may be found.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from contract.functions import ROOT
from drill.checks import MOST_TOLD
from drill.mutations import MUTATIONS
from drill.mutations.trial import CONTROL, convict
from drill.note import write_section

RESULTS = ROOT / ".local" / "drills" / "mutations.json"
AT_ONCE = 2


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
