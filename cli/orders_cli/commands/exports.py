"""Exports: ask for one, wait until it is finished, and download it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from orders_cli.commands.orders import STATUSES
from orders_cli.errors import Failure, Unsuccessful, WrongUse
from orders_cli.options import Email, Key, suggested
from orders_cli.session import Session, command

KINDS = ("orders", "items", "customers", "summary", "events")
FORMATS = ("csv", "jsonl")
POLL_SECONDS = 1
# The service may call its unfinished states as it likes: a finished export has a URL.
ENDED = ("failed", "cancelled", "expired")


def add_to(app: typer.Typer) -> None:
    command(app, "export")(export)


def export(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS), autocompletion=suggested(*KINDS))],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to put it; - is stdout.")],
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.", autocompletion=suggested(*FORMATS))] = "csv",
    status: Annotated[str | None, typer.Option(help="Only orders in this status.", autocompletion=suggested(*STATUSES))] = None,
    email: Email = None,
    customer: Annotated[int | None, typer.Option(min=1, help="Only what is of the customer with this id.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="Another filter of the list: type=order.paid.")
    ] = None,
    idempotency_key: Key = None,
) -> None:
    """Export all rows of a kind to a file, compressed if its name ends with .gz. Ctrl-C cancels the export."""
    if output == "-" and session.out.as_json:
        raise WrongUse("--json describes the export on stdout, where -o - puts the export itself")
    check_place(output)
    given = {"status": status, "email": email, "customer_id": customer, **dict(map(parse_filter, where or []))}
    filters = {name: value for name, value in given.items() if value is not None}
    body = {"kind": kind, "format": form, "filters": filters}
    document = session.client.create("/api/exports/", body, idempotency_key)
    try:
        document = finished(session, document)
    except KeyboardInterrupt:
        session.client.ask("DELETE", f"/api/exports/{document['id']}/")
        session.out.note(f"\nExport {document['id']} is cancelled")
        raise
    with session.out.progress("Downloading") as progress:
        count = save(document["url"], output, lambda received: progress(received, document["bytes"]))
    if session.out.as_json:
        session.out.json({**{name: value for name, value in document.items() if name != "url"}, "file": output})
    else:
        session.out.note(f"{document.get('rows')} rows, {count} bytes in {output if output != '-' else 'stdout'}")


def parse_filter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise WrongUse(f"A filter is written NAME=VALUE, such as status=paid, not {text!r}")
    return name, int(value) if name.endswith("_id") and value.isdecimal() else value


def finished(session: Session, export: dict[str, Any]) -> dict[str, Any]:
    with session.out.progress("Exporting") as progress:
        while not export.get("url"):
            if export["status"] in ENDED:
                raise Unsuccessful(f"The export {export['status']}", str(export.get("error") or ""), document=export)
            done = export.get("progress")
            if isinstance(done, int | float):
                progress(int(done), 100)
            time.sleep(POLL_SECONDS)
            export = session.client.get(f"/api/exports/{export['id']}/")
    return export


def check_place(output: str) -> None:
    """Before an export that may take hours. Raises WrongUse if its file could not be made."""
    place = Path(output)
    if output == "-" or is_special(place):
        return
    if place.is_dir() or not os.access(place.parent, os.W_OK | os.X_OK):
        raise WrongUse(f"{output} cannot be written: it is a folder, or in none that can be written to")


def is_special(place: Path) -> bool:
    """Whether it is a pipe or a device, which is written to as it is: /dev/null must not become a file."""
    return place.exists() and not place.is_file() and not place.is_dir()


def save(url: str, output: str, progress: Callable[[int], None]) -> int:
    """How many bytes. The file appears under its name when it is complete, and is never half there."""
    from orders_cli.transport import download, download_unpacked

    if output == "-":
        return download_unpacked(url, sys.stdout.buffer, progress)
    file: IO[bytes]
    fetch = download if output.endswith(".gz") else download_unpacked
    if is_special(Path(output)):
        with Path(output).open("wb") as file:
            return fetch(url, file, progress)
    part = Path(f"{output}.part")
    try:
        with part.open("wb") as file:
            count = fetch(url, file, progress)
        os.replace(part, output)  # noqa: PTH105 - a string like the one that was given
    except (OSError, Failure, KeyboardInterrupt) as reason:
        part.unlink(missing_ok=True)
        if isinstance(reason, OSError):
            raise WrongUse(f"{output} cannot be written: {reason.strerror}") from reason
        raise
    return count
