"""Customers."""

import sys
from typing import Annotated, Any

import typer

from orders_cli.errors import Unsuccessful, WrongUse
from orders_cli.options import All, CustomerId, Email, Key, Limit, Metadata, Removed, metadata, most
from orders_cli.output import Column, moment, pairs
from orders_cli.session import Session, command

CUSTOMERS = [
    Column("CUSTOMER", lambda customer: customer["id"], 8, number=True),
    Column("CREATED", lambda customer: moment(customer["created_at"]), 19),
    Column("NAME", lambda customer: customer["name"], 20),
    Column("E-MAIL", lambda customer: customer["email"], 24),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
app = typer.Typer(help="List, show and change customers.", no_args_is_help=True, rich_markup_mode=None)


@command(app, "list")
def list_customers(session: Session, email: Email = None, limit: Limit = None, every: All = False) -> None:
    """List customers, newest first."""
    session.out.rows(session.client.rows("/api/customers/", most(limit, every), email=email), CUSTOMERS)


def print_customer(session: Session, customer: dict[str, Any]) -> None:
    if session.out.as_json:
        session.out.json(customer)
    else:
        created = moment(customer["created_at"])
        session.out.line(f"Customer {customer['id']}: {customer['name']} <{customer['email']}>, since {created}")
        if customer["metadata"]:
            session.out.line(f"  metadata: {pairs(customer['metadata'])}")


@command(app, "show")
def show(session: Session, customer: CustomerId) -> None:
    """Show one customer."""
    print_customer(session, session.client.get(f"/api/customers/{customer}/"))


@command(app, "create")
def create(
    session: Session,
    email: Annotated[str, typer.Option(help="The e-mail address; no other customer may have it.")],
    name: Annotated[str, typer.Option(help="The name.")],
    own: Metadata = None,
    idempotency_key: Key = None,
) -> None:
    """Create a customer."""
    body = {"email": email, "name": name, **metadata(own)}
    print_customer(session, session.client.create("/api/customers/", body, idempotency_key))


@command(app, "update")
def update(
    session: Session,
    customer: CustomerId,
    email: Annotated[str | None, typer.Option(help="The new e-mail address.")] = None,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    own: Metadata = None,
    removed: Removed = None,
) -> None:
    """Change a customer's e-mail address, name or metadata."""
    change = {field: value for field, value in (("email", email), ("name", name)) if value is not None}
    change |= metadata(own, removed)
    if not change:
        raise WrongUse("Give --email, --name, --metadata or --remove")
    print_customer(session, session.client.ask("PATCH", f"/api/customers/{customer}/", change))


def confirm(question: str, done: str) -> None:
    """Asks a person beside the output, which may be read by a program. done: what does not happen without a yes."""
    asked = sys.stdin.isatty()
    if asked:
        print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        if asked:
            print(file=sys.stderr)
        raise WrongUse("Nobody is there to ask; --yes does it without asking")
    if answer.strip().lower() not in ("y", "yes"):
        raise Unsuccessful(f"Nothing was {done}")


@command(app, "delete")
def delete(session: Session, customer: CustomerId, yes: Yes = False) -> None:
    """Delete a customer that has no orders."""
    if not yes:
        confirm(f"Delete customer {customer}? [y/N] ", "deleted")
    session.client.ask("DELETE", f"/api/customers/{customer}/")
    if session.out.as_json:
        session.out.json({"id": customer, "deleted": True})
    else:
        session.out.line(f"Customer {customer} is deleted")


@command(app, "erase")
def erase(session: Session, customer: CustomerId, yes: Yes = False) -> None:
    """Erase a customer's address, name and metadata everywhere; the orders stay. It cannot be undone."""
    if not yes:
        confirm(f"Erase who customer {customer} is, for ever? [y/N] ", "erased")
    erased = session.client.ask("POST", f"/api/customers/{customer}/erase/", repeatable=True)
    if erased is not None:
        print_customer(session, erased)
    elif session.out.as_json:
        session.out.json({"id": customer, "erased": True})
    else:
        session.out.line(f"Customer {customer} was deleted before; what was kept of it is erased")
