"""Arguments and options that several commands take."""

from collections.abc import Callable
from typing import Annotated

import typer

OrderId = Annotated[int, typer.Argument(metavar="ORDER", min=1, help="The order's id.")]
CustomerId = Annotated[int, typer.Argument(metavar="CUSTOMER", min=1, help="The customer's id.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most that many rows.")]
All = Annotated[bool, typer.Option("--all", help="Every row, page by page.")]
Email = Annotated[str | None, typer.Option("--email", help="Part of the customer's e-mail address, in any letter case.")]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="Repeating the command with the same key creates nothing more.", metavar="KEY"),
]

DEFAULT_LIMIT = 50


def suggested(*values: str) -> Callable[[str], list[str]]:
    """Completes a value. The service may know more of them than this program, so that none is refused here."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]
