"""What a command prints: for people a table or lines, for programs JSON. Rich is imported where a terminal shows it."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Literal, NamedTuple, TextIO

from orders_cli.errors import Failure

# Rows of a table that are laid out together.
BATCH = 200


class Column(NamedTuple):
    """width: at least that many characters, so that the parts of a long list stand below each other.

    In a window that is too narrow, only the last column gives way: its words are cut or take several lines.
    """

    heading: str
    value: Callable[[dict[str, Any]], Any]
    width: int
    number: bool = False


def plain(value: Any) -> str:
    """Text that cannot command a terminal: unprintable characters are shown escaped."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def json_text(document: Any) -> str:
    """As `plain`: JSON itself escapes only some of what commands a terminal."""
    text = json.dumps(document, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def money(cents: int) -> str:
    sign, cents = ("-", -cents) if cents < 0 else ("", cents)
    return f"{sign}{cents // 100}.{cents % 100:02}"


def pairs(metadata: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in metadata.items())


def moment(text: str | None) -> str:
    """The time to the second; it is always UTC."""
    return (text or "")[:19].replace("T", " ")


class Output:
    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

    def json(self, document: Any) -> None:
        print(json_text(document), flush=True)

    def line(self, *words: Any) -> None:
        print(*map(plain, words), flush=True)

    def note(self, text: str, document: dict[str, Any] | None = None) -> None:
        """Beside the result, on stderr. document: the same for programs, if it is of use to them."""
        if not self.as_json:
            print(*map(plain, text.split("\n")), sep="\n", file=sys.stderr, flush=True)
        elif document is not None:
            print(json.dumps(document), file=sys.stderr, flush=True)

    def rows(self, rows: Iterable[dict[str, Any]], columns: list[Column], *, heading: bool = True) -> None:
        """JSON lines; a table on a terminal; else lines with tabs between the columns, and no heading."""
        if self.as_json:
            for row in rows:
                self.json(row)
        elif not sys.stdout.isatty():
            for row in rows:
                print(*(plain(column.value(row)) for column in columns), sep="\t", flush=True)
        else:
            self._table(iter(rows), columns, heading=heading)

    def _table(self, rows: Iterator[dict[str, Any]], columns: list[Column], *, heading: bool) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        while (batch := list(islice(rows, BATCH))) or heading:
            table = Table(box=None, show_header=heading, pad_edge=False, header_style="bold")
            for column in columns[:-1]:
                justify: Literal["left", "right"] = "right" if column.number else "left"
                table.add_column(column.heading, min_width=column.width, no_wrap=True, justify=justify)
            table.add_column(columns[-1].heading, overflow="ellipsis")
            for row in batch:
                table.add_row(*(Text(plain(column.value(row))) for column in columns))
            console.print(table)
            heading = False

    def failure(self, failure: Failure) -> None:
        if self.as_json:
            print(json_text({"error": failure.document}), file=sys.stderr, flush=True)
            return
        print(f"orders: {plain(failure.title)}", *(f"  {plain(text)}" for text in failure.details), sep="\n", file=sys.stderr)

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """Takes how much is done, of how much. Draws a bar if a person watches the terminal."""
        if self.as_json or not _watched(sys.stderr):
            yield lambda _done, _total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(plain(label), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _watched(stream: TextIO) -> bool:
    return stream.isatty()
