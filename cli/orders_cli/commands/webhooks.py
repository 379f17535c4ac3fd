"""Webhooks: list and create them, what was delivered, and listening to what they deliver."""

from typing import Annotated

import typer

from orders_cli.commands.events import TYPES
from orders_cli.errors import WrongUse
from orders_cli.options import All, Key, Limit, most, secret_of, suggested
from orders_cli.output import Column, moment
from orders_cli.session import Session, command

WEBHOOKS = [
    Column("WEBHOOK", lambda webhook: webhook["id"], 8),
    Column("TYPES", lambda webhook: ",".join(webhook["types"]), 20),
    Column("URL", lambda webhook: webhook["url"], 24),
]
DELIVERIES = [
    Column("DELIVERY", lambda delivery: delivery["id"], 8, number=True),
    Column("CREATED", lambda delivery: moment(delivery["created_at"]), 19),
    Column("WEBHOOK", lambda delivery: delivery["webhook_id"], 8, number=True),
    Column("EVENT", lambda delivery: delivery["event_id"], 8, number=True),
    Column("TYPE", lambda delivery: delivery["type"], 18),
    Column("STATUS", lambda delivery: delivery["status"], 9),
    Column("CODE", lambda delivery: delivery["status_code"], 4, number=True),
    Column("ERROR", lambda delivery: delivery["error"], 20),
]
app = typer.Typer(help="List, create and listen to webhooks.", no_args_is_help=True, rich_markup_mode=None)


@command(app, "list")
def list_webhooks(session: Session, limit: Limit = None, every: All = False) -> None:
    """List webhooks."""
    session.out.rows(session.client.rows("/api/webhooks/", most(limit, every)), WEBHOOKS)


@command(app, "create")
def create(
    session: Session,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Where events are delivered to.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only events of this type; repeat it. Otherwise all.", autocompletion=suggested(*TYPES)),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    idempotency_key: Key = None,
) -> None:
    """Create a webhook, and show its secret this one time."""
    body = {"url": target, "types": kinds or ["*"], **({"description": description} if description else {})}
    webhook = session.client.create("/api/webhooks/", body, idempotency_key)
    if session.out.as_json:
        session.out.json(webhook)
    else:
        session.out.line(f"Webhook {webhook['id']} delivers {', '.join(webhook['types'])} to {webhook['url']}")
        session.out.line(f"Its secret, which is not shown again: {webhook['secret']}")


@command(app, "deliveries")
def deliveries(
    session: Session,
    webhook: Annotated[int | None, typer.Argument(metavar="WEBHOOK", min=1, help="The webhook's id.")] = None,
    order: Annotated[int | None, typer.Option(min=1, help="Those about this order instead, of all webhooks.")] = None,
    limit: Limit = None,
    every: All = False,
) -> None:
    """List what was delivered to a webhook, newest first, or of an order to all of them, oldest first."""
    if (webhook is None) == (order is None):
        raise WrongUse("Give a webhook, or --order")
    path = f"/api/orders/{order}/webhook-deliveries/" if webhook is None else f"/api/webhooks/{webhook}/deliveries/"
    session.out.rows(session.client.rows(path, most(limit, every)), DELIVERIES)


@command(app, "listen")
def listen(
    session: Session,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 takes a free one.")] = 9000,
    count: Annotated[int | None, typer.Option(min=1, help="End after that many verified deliveries.")] = None,
) -> None:
    """Print verified deliveries that arrive at a local port. The webhook's secret is in ORDERS_WEBHOOK_SECRET."""
    from orders_cli.deliveries import Receiver, secret_key

    key = secret_key(secret_of("ORDERS_WEBHOOK_SECRET"))
    try:
        receiver = Receiver(port, key)
    except OSError as reason:
        raise WrongUse(f"Port {port} cannot be listened to: {reason.strerror}") from reason
    with receiver:
        session.out.note(f"Listening on http://127.0.0.1:{receiver.server_port}/")
        while count is None or count > 0:
            receiver.handle_request()
            for refused in receiver.take_refused():
                session.out.note(f"Refused a delivery: {refused}")
            for delivery in receiver.take():
                if session.out.as_json:
                    session.out.json(delivery.document)
                else:
                    session.out.line(delivery.id, delivery.time, delivery.text)
                count = None if count is None else count - 1
