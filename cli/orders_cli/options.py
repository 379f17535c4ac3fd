"""Arguments and options that several commands take."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from orders_cli.errors import WrongUse

DEFAULT_LIMIT = 50

OrderId = Annotated[int, typer.Argument(metavar="ORDER", min=1, help="The order's id.")]
CustomerId = Annotated[int, typer.Argument(metavar="CUSTOMER", min=1, help="The customer's id.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help=f"At most that many rows; {DEFAULT_LIMIT} unless chosen, or no limit with --all."),
]
All = Annotated[bool, typer.Option("--all", help="Every row, page by page; a --limit still holds.")]
Email = Annotated[str | None, typer.Option("--email", help="Part of the customer's e-mail address, in any letter case.")]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Repeating the command with the same key creates nothing more.", metavar="KEY"),
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="A text of your own under a key; repeat it.")
]
Removed = Annotated[
    list[str] | None, typer.Option("--remove", metavar="KEY", help="Remove this key of the metadata; repeat it.")
]


def most(limit: int | None, every: bool) -> int | None:
    """Rows to show; None is all of them."""
    return DEFAULT_LIMIT if limit is None and not every else limit


def metadata(given: Iterable[str] | None, removed: Iterable[str] | None = None) -> dict[str, Any]:
    """The field `metadata` of a body; no field if nothing was said. What keys and values may be is up to the service."""
    values: dict[str, str | None] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise WrongUse(f"Metadata is written KEY=VALUE, such as channel=web, not {text!r}")
        values[key] = value
    values |= dict.fromkeys(removed or (), None)
    return {"metadata": values} if values else {}


def secret_of(variable: str) -> str:
    """From the environment, or else from whoever is there to ask; a pipe is not asked, but read."""
    from getpass import getpass

    if given := os.environ.get(variable):
        return given
    try:
        answer = getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    except EOFError:
        answer = ""
    if not answer:
        raise WrongUse(f"There is no secret: nobody gave one, and {variable} is empty")
    return answer


def suggested(*values: str) -> Callable[[str], list[str]]:
    """Completes a value. The service may know more of them than this program, so that none is refused here."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]
