"""The command `orders`."""

from typing import Annotated

import typer

from orders_cli.commands import customers, events, exports, orders, seeding, signin, webhooks
from orders_cli.errors import EXIT_CODES

ENVIRONMENT = {
    "ORDERS_URL": "the service, if there is no --url",
    "ORDERS_TOKEN": "a token to send, instead of that of `orders login`",
    "ORDERS_CLIENT_ID": "the app client of `orders login`",
    "ORDERS_CLIENT_SECRET": "its secret, for `orders login --machine`",
    "ORDERS_WEBHOOK_SECRET": "the secret of `orders webhooks listen`",
    "ORDERS_RETRIES": "how often a request that is safe to repeat is sent again; 3 unless chosen",
    "SSL_CERT_FILE": "certificates to trust instead of the system's",
}


def listing(title: str, lines: dict[int, str] | dict[str, str]) -> str:
    # \b keeps the line breaks of a paragraph.
    return "\n".join(["\b", title, *(f"  {name:<21}  {text}" for name, text in lines.items())])


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 119},
    epilog="\n\n".join([listing("Environment:", ENVIRONMENT), listing("Exit codes:", EXIT_CODES)]),
)


def print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"orders {version('orders')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The order service from the command line. Each command takes --url for the service, and --json for programs."""


orders.add_to(app)
app.add_typer(customers.app, name="customers")
events.add_to(app)
exports.add_to(app)
app.add_typer(webhooks.app, name="webhooks")
seeding.add_to(app)
signin.add_to(app)
