"""Signing in and out."""

from typing import Annotated

import typer

from orders_cli.errors import WrongUse
from orders_cli.options import secret_of
from orders_cli.output import moment
from orders_cli.session import Session, command

# Cognito compares redirects as texts, so the port has to be known in advance.
REDIRECT_PORT = 8765


def add_to(app: typer.Typer) -> None:
    command(app, "login")(login)
    command(app, "logout")(logout)


def login(
    session: Session,
    client_id: Annotated[
        str | None,
        typer.Option(envvar="ORDERS_CLIENT_ID", help="The app client at the issuer; that of the console if not given."),
    ] = None,
    machine: Annotated[
        bool, typer.Option("--machine", help="With the client's secret, from ORDERS_CLIENT_SECRET or asked for.")
    ] = False,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Who issues tokens, if openapi.json does not say.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Only this scope; repeat it. Otherwise all that exist.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port that the issuer redirects to.")] = REDIRECT_PORT,
    browser: Annotated[bool, typer.Option(help="Open the issuer's page in a browser.")] = True,
) -> None:
    """Sign in, in a browser or as a machine, and keep the tokens in a file that only you can read."""
    from datetime import UTC, datetime

    from orders_cli.login import as_person, consoles_client, endpoints
    from orders_cli.tokens import Login, TokenFile

    if machine and client_id is None:
        raise WrongUse("A machine signs in with its own --client-id")
    authorize_url, token_url, known = endpoints(session.url, issuer)
    client_id = client_id or consoles_client(session.url)
    secret = secret_of("ORDERS_CLIENT_SECRET") if machine else None
    asked = Login(token_url, client_id, secret, " ".join(scope or known))
    if machine:
        signed_in = asked.as_machine()
    elif authorize_url:
        signed_in = as_person(asked, authorize_url, port, browser=browser)
    else:
        raise WrongUse("This issuer has no page to sign in at; --machine signs in with a client's secret")
    file = TokenFile()
    file.put(session.url, signed_in)
    until = datetime.fromtimestamp(signed_in.expires_at, UTC).isoformat(timespec="seconds")
    if session.out.as_json:
        session.out.json({"url": session.url, "client_id": client_id, "scope": signed_in.scope, "expires_at": until})
    else:
        session.out.line(f"Signed in to {session.url}; the token is valid until {moment(until)} UTC, and kept in {file.path}")


def logout(session: Session) -> None:
    """Forget the tokens for the service."""
    from orders_cli.tokens import TokenFile

    had = TokenFile().put(session.url, None)
    if session.out.as_json:
        session.out.json({"url": session.url, "signed_out": had})
    else:
        session.out.line(f"Signed out of {session.url}" if had else f"Was not signed in to {session.url}")
