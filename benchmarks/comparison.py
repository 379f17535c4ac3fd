"""The comparison in the README: how many times as long each peer takes, in the committed run with most orders."""

from benchmarks.prose import replace_table
from benchmarks.results import Results

NO_RUN = "*No run is committed yet.*"
OURS = "ours"
COLD = "import to first answer, with TLS"
# By the scenario's title, as somebody says it who has not read the benchmark.
WARM = {
    "list 50": "list, 50 orders",
    "list, absent status": "list by a status that no order has",
    "list, e-mail: local part and @": "list by a part of an e-mail address",
    "get": "get an order",
    "create, 3 items": "create an order with 3 items",
    "cancel": "cancel an order",
    "summary": "summary by customer",
}


def fill(text: str, runs: list[Results]) -> str:
    """The document with its table from the run with most orders."""
    return replace_table(text, "comparison", _table(runs[-1]) if runs else NO_RUN)


def _table(run: Results) -> str:
    rows = {said: run.warm[title] for title, said in WARM.items() if title in run.warm}
    rows |= {"cold start, import to first answer": run.cold[COLD]} if COLD in run.cold else {}
    peers = [name for name in run.mixed if name != OURS]
    lines = [
        f"At {run.size:,} orders on a machine of {run.machine['cores']}: how long this service takes, and how many times as",
        f"long its peers do, each written as its community would. It is `{run.command}`, and",
        "[the benchmark's page](docs/benchmarks.md) has all figures, with those that others win.",
        "",
        f"| | this service | {' | '.join(run.titles[peer] for peer in peers)} |",
        "|---|" + "---:|" * (len(peers) + 1),
    ]
    for said, row in rows.items():
        times = [f"{row[peer] / row[OURS]:.1f}×" if peer in row else "" for peer in peers]
        lines.append(f"| {said} | {row[OURS] * 1000:.2f} ms | {' | '.join(times)} |")
    spent = {name: function + postgres for name, (_, function, postgres) in run.mixed.items()}
    times = [f"{spent[peer] / spent[OURS]:.1f}×" for peer in peers]
    lines.append(f"| processor time of 1,000 mixed requests | {spent[OURS]:.2f} s | {' | '.join(times)} |")
    return "\n".join(lines)
