"""The feed of events."""

import time
from math import isnan
from typing import Annotated

import typer

from orders_cli.errors import Refused, WrongUse
from orders_cli.options import suggested
from orders_cli.output import Column, moment
from orders_cli.session import Session, command

PAGE_ROWS = 200
DAY_SECONDS = 86_400
TYPES = (
    "order.created",
    "order.item_added",
    "order.item_updated",
    "order.item_removed",
    "order.updated",
    "order.paid",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
    "customer.created",
    "customer.updated",
    "customer.erased",
    "customer.deleted",
)
EVENTS = [
    Column("EVENT", lambda event: event["id"], 8, number=True),
    Column("AT", lambda event: moment(event["at"]), 19),
    Column("TYPE", lambda event: event["type"], 18),
    Column("ORDER", lambda event: event.get("order_id"), 8, number=True),
    Column("CUSTOMER", lambda event: event.get("customer_id"), 8, number=True),
    Column("ACTOR", lambda event: event.get("actor"), 12),
]


def add_to(app: typer.Typer) -> None:
    command(app, "events")(events)


def events(
    session: Session,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only events of this type.", autocompletion=suggested(*TYPES))
    ] = None,
    order: Annotated[int | None, typer.Option(min=1, help="Only those of this order.")] = None,
    customer: Annotated[int | None, typer.Option(min=1, help="Only those of this customer.")] = None,
    cursor: Annotated[
        str, typer.Option(help="Continue where a walk with the same filters has stopped; an empty one is the beginning.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more at the end, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, max=DAY_SECONDS, help="Seconds between two questions at the end.")] = 2,
) -> None:
    """Print every event, oldest first, once per walk. At the end, stderr says how to continue from there."""
    # It is neither below nor above a range.
    if isnan(interval):
        raise WrongUse("--interval is a number of seconds")
    filters = {"type": kind, "order_id": order, "customer_id": customer, "limit": PAGE_ROWS}
    shown, heading = cursor or None, True
    try:
        while True:
            page = session.client.page("/api/events/", **filters, cursor=shown)
            if page["results"]:
                session.out.rows(page["results"], EVENTS, heading=heading)
                heading = False
            shown = page["next_cursor"]
            if page["next"] is None:
                if not follow:
                    break
                time.sleep(interval)
    except Refused:
        shown = None
        raise
    finally:
        if shown is not None:
            session.out.note(f"Continue with --cursor {shown}", {"next_cursor": shown})
