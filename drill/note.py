"""The measured parts of docs/reliability.md: a run with DOCUMENT=1 writes what it found between two marks."""

import os
import re
import time

from contract.functions import ROOT

NOTE = ROOT / "docs" / "reliability.md"


def write_section(name: str, command: str, lines: list[str]) -> None:
    """Replaces the section of the name, if DOCUMENT=1 says so."""
    if os.environ.get("DOCUMENT") != "1":
        return
    head, tail = f"<!-- measured: {name} -->\n", "<!-- end -->\n"
    machine = f"{os.cpu_count()} cores under load {os.getloadavg()[2]:.0f}"
    measured = f"`{command}`, {time.strftime('%Y-%m-%d')}, {machine}:"
    text = "\n".join([measured, "", *lines, ""])
    note = NOTE.read_text(encoding="utf-8")
    changed, count = re.subn(f"{re.escape(head)}.*?{re.escape(tail)}", lambda _: f"{head}{text}{tail}", note, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"docs/reliability.md has no section {name}")
    NOTE.write_text(changed, encoding="utf-8")


def table(rows: dict[str, str]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows.items())]
