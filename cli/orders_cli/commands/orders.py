"""Orders: list, show, create, summary, what happens to them, and the mails about it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orders_cli.errors import WrongUse
from orders_cli.options import All, Email, Key, Limit, Metadata, OrderId, Removed, metadata, most, suggested
from orders_cli.output import Column, moment, money, pairs
from orders_cli.session import Session, command

STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled")
ACTIONS = {
    "pay": "Mark a pending order as paid.",
    "ship": "Mark a paid order as shipped.",
    "deliver": "Mark a shipped order as delivered.",
}
ORDERS = [
    Column("ORDER", lambda order: order["id"], 8, number=True),
    Column("STATUS", lambda order: order["status"], 9),
    Column("TOTAL", lambda order: money(order["total_cents"]), 10, number=True),
    Column("CREATED", lambda order: moment(order["created_at"]), 19),
    Column("CUSTOMER", lambda order: order["customer"]["email"], 24),
]
SUMMARY = [
    Column("CUSTOMER", lambda row: row["customer_id"], 8, number=True),
    Column("ORDERS", lambda row: row["order_count"], 6, number=True),
    Column("ITEMS", lambda row: row["item_count"], 6, number=True),
    Column("SPENT", lambda row: money(row["total_spent_cents"]), 12, number=True),
    Column("NAME", lambda row: row["name"], 20),
    Column("E-MAIL", lambda row: row["email"], 24),
]

MAILS = [
    Column("MAIL", lambda mail: mail["id"], 8, number=True),
    Column("CREATED", lambda mail: moment(mail["created_at"]), 19),
    Column("EVENT", lambda mail: mail["event_id"], 8, number=True),
    Column("TYPE", lambda mail: mail["type"], 15),
    Column("STATUS", lambda mail: mail["status"], 10),
    Column("ERROR", lambda mail: mail["error"], 24),
]


def add_to(app: typer.Typer) -> None:
    command(app, "list")(list_orders)
    command(app, "show")(show)
    command(app, "mails")(mails)
    command(app, "create")(create)
    for action, text in ACTIONS.items():
        command(app, action)(transition(action, text))
    command(app, "cancel")(cancel)
    command(app, "set")(change)
    command(app, "summary")(summary)


def list_orders(
    session: Session,
    status: Annotated[str | None, typer.Option(help="Only orders in this status.", autocompletion=suggested(*STATUSES))] = None,
    email: Email = None,
    customer: Annotated[int | None, typer.Option(min=1, help="Only orders of the customer with this id.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only the order that has this reference.")] = None,
    limit: Limit = None,
    every: All = False,
) -> None:
    """List orders, newest first."""
    filters = {"status": status, "email": email, "customer_id": customer, "reference": reference}
    session.out.rows(session.client.rows("/api/orders/", most(limit, every), **filters), ORDERS)


def show(session: Session, order: OrderId) -> None:
    """Show one order with its items and its history."""
    document = session.client.get(f"/api/orders/{order}/")
    events = list(session.client.rows(f"/api/orders/{order}/events/", None))
    if session.out.as_json:
        session.out.json({**document, "events": events})
        return
    print_order(session, document)
    for event in events:
        session.out.line(f"  {moment(event['at'])}  {event['type']}  {event.get('actor') or ''}".rstrip())


def mails(session: Session, order: OrderId) -> None:
    """List the mails to the customer about an order, oldest first."""
    session.out.rows(session.client.rows(f"/api/orders/{order}/mails/", None), MAILS)


def print_order(session: Session, order: dict[str, Any]) -> None:
    if session.out.as_json:
        session.out.json(order)
        return
    customer = order["customer"]
    out = session.out
    out.line(f"Order {order['id']}: {order['status']}, {money(order['total_cents'])}")
    if order["reference"] is not None:
        out.line(f"  reference {order['reference']}")
    out.line(f"  customer {customer['id']}: {customer['name']} <{customer['email']}>")
    out.line(f"  next: {', '.join(order['allowed_actions']) or 'nothing'}")
    for item in order["items"]:
        price = item["unit_price_cents"]
        out.line(f"  {item['quantity']} × {item['sku']} at {money(price)} = {money(item['quantity'] * price)}")
    if order["metadata"]:
        out.line(f"  metadata: {pairs(order['metadata'])}")


def parse_item(text: str) -> dict[str, Any]:
    """SKU:QUANTITY:CENTS; a SKU may have colons. What the numbers may be is up to the service."""
    sku, _, numbers = text.rpartition(":")
    sku, _, quantity = sku.rpartition(":")
    if not sku or not quantity.isdecimal() or not numbers.isdecimal():
        raise WrongUse(f"An item is written SKU:QUANTITY:CENTS, such as MUG-11:2:1250, not {text!r}")
    return {"sku": sku, "quantity": int(quantity), "unit_price_cents": int(numbers)}


def read_body(file: str) -> Any:
    name = "standard input" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as reason:
        raise WrongUse(f"{name} cannot be read: {reason.strerror}") from reason
    try:
        # Bytes, whose encoding JSON says itself, whatever that of the terminal is.
        return json.loads(content)
    except (ValueError, RecursionError) as reason:
        why = "it is nested too deeply" if isinstance(reason, RecursionError) else reason if content else "it is empty"
        raise WrongUse(f"{name} is not a JSON document: {why}") from reason


def create(
    session: Session,
    customer: Annotated[int | None, typer.Option(min=1, help="The customer's id.")] = None,
    item: Annotated[
        list[str] | None, typer.Option(metavar="SKU:QUANTITY:CENTS", help="One item with the price of a single one; repeat it.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Your own name for it, which no other order has.")] = None,
    own: Metadata = None,
    file: Annotated[str | None, typer.Option("--from", metavar="FILE", help="The order as JSON instead; - is stdin.")] = None,
    idempotency_key: Key = None,
) -> None:
    """Create an order with its items."""
    told = {**({} if reference is None else {"reference": reference}), **metadata(own)}
    if bool(file) == (customer is not None) or bool(item) != (customer is not None) or (file and told):
        raise WrongUse("Give --customer and at least one --item, or --from with the whole order")
    items = [parse_item(text) for text in item or []]
    body = read_body(file) if file else {"customer_id": customer, "items": items, **told}
    print_order(session, session.client.create("/api/orders/", body, idempotency_key))


def transition(action: str, text: str) -> Any:
    def act(session: Session, order: OrderId) -> None:
        # Repeating it is safe: what has happened already is answered like the first time.
        print_order(session, session.client.ask("POST", f"/api/orders/{order}/{action}/", repeatable=True))

    act.__doc__ = text
    return act


def cancel(
    session: Session,
    order: OrderId,
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the order's history.")] = None,
) -> None:
    """Cancel a pending or paid order."""
    body = None if reason is None else {"reason": reason}
    print_order(session, session.client.ask("POST", f"/api/orders/{order}/cancel/", body, repeatable=True))


def change(session: Session, order: OrderId, own: Metadata = None, removed: Removed = None) -> None:
    """Change the metadata of an order, whatever its status. Other keys stay as they are."""
    body = metadata(own, removed)
    if not body:
        raise WrongUse("Give --metadata or --remove")
    print_order(session, session.client.ask("PATCH", f"/api/orders/{order}/", body))


def summary(session: Session, limit: Limit = None, every: All = False) -> None:
    """Summarize orders per customer, biggest spender first."""
    session.out.rows(session.client.rows("/api/orders/summary/", most(limit, every)), SUMMARY)
