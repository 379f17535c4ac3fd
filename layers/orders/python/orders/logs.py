"""Structured logs, by Powertools."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


@cache
def logger() -> "Logger":
    """Imported with the first line that is written: a request that goes well writes none, and need not wait for it."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415

    return Logger()
