"""Seed runs: start one and watch it until it ends."""

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from orders_cli.errors import Unsuccessful, WrongUse
from orders_cli.options import Key
from orders_cli.session import Session, command

POLL_SECONDS = 0.5
UNFINISHED = ("queued", "running")


def add_to(app: typer.Typer) -> None:
    command(app, "seed")(seed)


def seed(
    session: Session,
    customers: Annotated[int | None, typer.Option(help="How many customers.")] = None,
    orders_per_customer: Annotated[int | None, typer.Option(help="How many orders each has on average.")] = None,
    items_per_order: Annotated[int | None, typer.Option(help="How many items each order has on average.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Watch this run instead of starting one.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="With --run: cancel what it has not begun.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    idempotency_key: Key = None,
) -> None:
    """Fill the database with made-up data, and show the progress until it ends. Ctrl-C stops watching, not the run."""
    numbers = {"customers": customers, "orders_per_customer": orders_per_customer, "items_per_order": items_per_order}
    given = {name: number for name, number in numbers.items() if number is not None}
    if run == "":
        raise WrongUse("--run takes the id of a run, which is empty here")
    if (run and given) or (cancel and not run):
        raise WrongUse("--run takes --cancel or --detach, and no numbers; --cancel needs --run")
    path = f"/api/dev/seed/{quote(run or '', safe='', errors='surrogateescape')}/"
    if cancel:
        document = session.client.ask("POST", f"{path}cancel/", repeatable=True)
    elif run:
        document = session.client.get(path)
    else:
        document = session.client.create("/api/dev/seed/", given, idempotency_key)
    if not detach and not cancel:
        document = watched(session, document)
    if session.out.as_json:
        session.out.json(document)
    else:
        session.out.line(
            f"Run {document['id']}: {document['status']}, {document['rows_done']} of {document['rows_total']} rows"
        )
    if not cancel and document["status"] not in (*UNFINISHED, "succeeded"):
        raise Unsuccessful(f"The seed run {document['status']}", document.get("error") or "", document=document)


def watched(session: Session, run: dict[str, Any]) -> dict[str, Any]:
    """The run, once it has ended."""
    try:
        with session.out.progress("Seeding") as progress:
            while run["status"] in UNFINISHED:
                progress(run["rows_done"], run["rows_total"])
                time.sleep(POLL_SECONDS)
                run = session.client.get(f"/api/dev/seed/{run['id']}/")
    except KeyboardInterrupt:
        session.out.note(f"\nThe run goes on: `orders seed --run {run['id']}` watches it, and with --cancel cancels it")
        raise
    return run
