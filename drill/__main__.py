"""Strikes the laptop cloud with faults under load, and judges what it lost, doubled or told wrongly: `make drill`.

Settings, all optional, as environment variables:

  DRILL=long        how long: short (under 3 minutes), usual (under 10 minutes), long (an hour); or a number of seconds
  SEED=…            repeats the schedule of an earlier drill
  FAULTS=…          only these faults, separated by commas; `make drill FAULTS=list` names them
"""

import os
import secrets
import sys
import tempfile
from pathlib import Path

from contract.functions import ROOT
from drill.faults import FAULTS
from drill.play import Plan, play
from drill.report import write_report
from drill.stage import Stage

SECONDS = {"short": 60, "usual": 420, "long": 3400}
REPORTS = ROOT / ".local" / "drills"


def plan() -> Plan:
    environment = os.environ
    length = environment.get("DRILL") or "usual"
    if length not in SECONDS and not length.isdigit():
        sys.exit(f"DRILL must be {', '.join(SECONDS)} or a number of seconds, not {length!r}")
    faults = tuple(filter(None, environment.get("FAULTS", "").split(","))) or tuple(FAULTS)
    if unknown := set(faults) - FAULTS.keys():
        sys.exit(f"FAULTS knows {', '.join(FAULTS)}, not {', '.join(sorted(unknown))}")
    seconds = SECONDS.get(length) or int(length)
    return Plan(int(environment.get("SEED") or secrets.randbelow(10**6)), seconds, faults=faults)


def main() -> None:
    chosen = plan()
    print(f"The drill takes about {chosen.seconds / 60:.0f} minutes; repeat it with SEED={chosen.seed}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="orders-drill-") as folder, Stage(Path(folder), disk=True) as stage:
        try:
            outcome = play(stage, chosen)
        finally:
            (REPORTS / f"{chosen.seed}.log").write_text("".join(stage.output()))
    page = write_report(outcome, REPORTS)
    print(f"\nThe report: {page}")
    sys.exit(not outcome.verdict.clean)


if __name__ == "__main__":
    main()
