"""Results as tables on the terminal, and as docs/benchmarks.md with its plots."""

import json
from dataclasses import asdict
from pathlib import Path
from string import Template
from textwrap import fill

from benchmarks import capacity, comparison, targets
from benchmarks.mixed import PROCESSES, SHARES
from benchmarks.plots import dots, growth, stacks
from benchmarks.results import Results
from benchmarks.workers import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
# Documents that are written by hand but for a table.
FILLED = {ROOT / "docs" / "scaling.md": capacity.fill, ROOT / "README.md": comparison.fill}
# The last run of each size, from which the document is built.
RUNS = PLOTS / "runs.json"
TEMPLATE = Path(__file__).with_name("document.md")
GROWING = {"list": "list 50", "absent": "list, absent status", "summary": "summary"}

PARTS = """\
Parts of a call, measured in turn with everybody's calls: the statement's messages alone, written to the function's
connection until the server's answer is read; the driver that makes rows of it; and the function, which reads the event,
checks it against the contract and builds the answer. The last column says what a call takes when no other program has
just had the processor and its caches. What a target allows beyond the first column is all that any program could win.
"""

Table = list[list[str]]


def tables(results: Results) -> dict[str, Table]:
    """By title; the first row of each is its heading."""
    made = {
        title: _times(results, rows)
        for title, rows in (("warm", results.warm), ("cold", results.cold), ("seeding", results.seed))
        if rows
    }
    if results.depths:
        made["parts"] = _parts(results)
    heading = ["", "requests/s", "CPU s per 1,000 requests", "function", "PostgreSQL"]
    ours = sum(results.mixed["ours"][1:])
    made["mixed load"] = [
        heading,
        *(
            [
                results.titles[name],
                f"{per_second:.0f}",
                f"{function + postgres:.2f}" + ("" if name == "ours" else f" ({ours / (function + postgres):.2f})"),
                f"{function:.2f}",
                f"{postgres:.2f}",
            ]
            for name, (per_second, function, postgres) in results.mixed.items()
        ),
    ]
    return made


def _times(results: Results, rows: dict[str, dict[str, float]]) -> Table:
    names = [name for name in results.titles if any(name in row for row in rows.values())]
    heading = ["ms", *(results.titles[name] for name in names)]
    return [heading, *([title, *(_cell(row, name) for name in names)] for title, row in rows.items())]


def _parts(results: Results) -> Table:
    """Each part without the one before it."""
    rows = [["ms", "PostgreSQL and the way to it", "driver", "function", "together", "together, right after another call"]]
    for title, row in results.depths.items():
        parts = [row["statement"], row["driver"] - row["statement"], row["ours"] - row["driver"], row["ours"], row["again"]]
        rows.append([title, *(f"{part * 1000:.2f}" for part in parts)])
    return rows


def _cell(row: dict[str, float], name: str) -> str:
    if name not in row:
        return ""
    return f"{row[name] * 1000:.2f}" + ("" if name == "ours" else f" ({_ratio(row['ours'] / row[name])})")


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def print_tables(results: Results) -> None:
    for title, rows in tables(results).items():
        print(f"\n{title}, {results.size:,} orders")
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for first, *others in rows:
            print(
                first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)), sep="  "
            )


def committed() -> list[Results]:
    """The last run of each size, smallest first."""
    runs = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    return [Results(**run) for run in runs.values()]


def write_document(results: Results) -> None:
    """Rewrites the document and the tables in others, with this run replacing the previous one of its size."""
    PLOTS.mkdir(exist_ok=True)
    every = sorted([results, *(run for run in committed() if run.size != results.size)], key=lambda run: run.size)
    RUNS.write_text(json.dumps({str(run.size): asdict(run) for run in every}, indent=1) + "\n")
    for document, filled in FILLED.items():
        document.write_text(filled(document.read_text(encoding="utf-8"), every), encoding="utf-8")
    sections = [_section(run) for run in every]
    if len(every) > 1:
        sections.insert(0, _growth(every))
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in SHARES.items())
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    DOCUMENT.write_text(
        template.substitute(command=results.command, mix=mix, processes=PROCESSES, runs="\n".join(sections)), encoding="utf-8"
    )


def _section(results: Results) -> str:
    warm, load = PLOTS / f"warm-{results.size}.svg", PLOTS / f"load-{results.size}.svg"
    warm.write_text(dots(results.warm, results.titles))
    load.write_text(
        stacks({name: (function, postgres) for name, (_, function, postgres) in results.mixed.items()}, results.titles)
    )
    made = tables(results)
    parts = [
        f"## {results.size:,} orders\n",
        f"`{results.command}` on {', '.join(results.machine.values())}, with:",
        fill(", ".join(f"{name} {number}" for name, number in results.versions.items()) + ".\n", 119),
        "",
        f"![Medians of a warm call](benchmarks/{warm.name})\n",
        _markdown(made["warm"]),
        "### Cold\n",
        _markdown(made["cold"]),
        "### What is billed\n",
        f"![Processor seconds per 1,000 requests](benchmarks/{load.name})\n",
        _markdown(made["mixed load"]),
        "### Seeding\n",
        _markdown(made["seeding"]),
        "### What it wants to reach\n",
        "As shares of the other's figure. What is not reached is left to see here, and not tuned away.\n",
        _markdown(targets.table(results)),
    ]
    if "parts" in made:
        parts += ["### Where this service's time goes\n", PARTS, _markdown(made["parts"])]
    return "\n".join(parts)


def _growth(every: list[Results]) -> str:
    parts = ["## As it grows\n"]
    for name, scenario in GROWING.items():
        rows = {
            each: {run.size: run.warm[scenario][each] for run in every if each in run.warm[scenario]}
            for each in every[0].titles
            if each in every[0].warm[scenario]
        }
        file = PLOTS / f"growth-{name}.svg"
        file.write_text(growth(rows, every[0].titles))
        parts.append(f"{scenario}:\n\n![{scenario}, by orders in the database](benchmarks/{file.name})\n")
    return "\n".join(parts)


def _markdown(table: Table) -> str:
    heading, *rows = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([heading, "|---|" + "---:|" * (len(table[0]) - 1), *rows, ""])
