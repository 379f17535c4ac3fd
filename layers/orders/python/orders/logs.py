"""Structured logs, by Powertools."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


@cache
def logger() -> "Logger":
    """Imported when the first line is written: a request that succeeds writes none, and need not wait for the import."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415

    return Logger()
