"""What a load takes, computed from the mixed load of the committed runs: the tables of docs/scaling.md."""

from benchmarks.prose import replace_table
from benchmarks.results import Results
from cdk.settings import STAGES

NO_RUN = "*No run is committed yet. `make bench` computes this table from the mixed load of its own run.*"
# What remains is for peaks, vacuum and the audit.
BUSY = 0.6
# Of one writer, db.r8g.16xlarge for instance: a quarter of the largest, so that there is somewhere to go in a hurry.
WRITER_VCPUS = 64
STEPS = (1, 10, 100, 1000)


def fill(text: str, runs: list[Results]) -> str:
    """The document with its table computed from the run with most orders."""
    return replace_table(text, "capacity", _table(runs[-1]) if runs else NO_RUN)


def _table(run: Results) -> str:
    _, function, postgres = run.mixed["ours"]
    throttle = STAGES["prod"].requests_per_second
    measured = (
        f"{run.size:,} orders, `{run.command}`: 1,000 requests take {function:.2f} s of CPU in functions and {postgres:.2f} s"
    )
    carried = f"One vCPU of the database that is {BUSY:.0%} busy carries {1000 * BUSY / postgres:,.0f} requests per second."
    rows = []
    for step in STEPS:
        per_second = throttle * step
        database = per_second * postgres / 1000 / BUSY
        cells = [f"{step:,}×", f"{per_second:,}", f"{per_second * function / 1000:,.1f}", f"{database:,.1f}"]
        rows.append("| " + " | ".join([*cells, f"{database / WRITER_VCPUS:,.2g}"]) + " |")
    return "\n".join(
        [
            measured,
            f"in PostgreSQL. {carried}",
            "",
            f"| load | requests/s | vCPUs busy in functions | vCPUs of the database | writers of {WRITER_VCPUS} vCPUs |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )
