"""One command at work: where the service is, how to print, and what a failure becomes."""

import inspect
import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orders_cli.errors import Failure, Refused, WrongUse
from orders_cli.output import Output

if TYPE_CHECKING:
    from orders_cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[
    str, typer.Option("--url", envvar="ORDERS_URL", help="The service.", rich_help_panel="Everywhere", metavar="URL")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one document or one per line.")]


class Session:
    def __init__(self, url: str, *, as_json: bool) -> None:
        self.url = url.rstrip("/")
        self.out = Output(as_json=as_json)

    @cached_property
    def client(self) -> "Client":
        # What --help and --version do not need.
        from orders_cli.client import Client
        from orders_cli.tokens import StoredToken

        return Client(self.url, StoredToken(self.url))


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a function as a command. It is given a Session, and its command also takes --url and --json."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function)
        _, *own = signature.parameters.values()
        common = [
            inspect.Parameter("url", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT_URL, annotation=Url),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        ]

        def run(**arguments: Any) -> None:
            session = Session(arguments.pop("url"), as_json=arguments.pop("as_json"))
            if code := exit_code(session, lambda: function(session, **arguments)):
                raise typer.Exit(code)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = function.__doc__
        app.command(name)(run)
        return function

    return register


def exit_code(session: Session, work: Callable[[], None]) -> int:
    try:
        work()
        sys.stdout.flush()
    except Failure as failure:
        session.out.failure(failure)
        return failure.code
    except KeyError as missing:
        session.out.failure(Refused(f"The answer has no {missing}", "Is the URL that of the service?"))
        return Refused.code
    except KeyboardInterrupt:
        return 130
    except OSError as reason:
        # Connections to the service fail as Unreachable, so this is our output. The interpreter flushes it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(reason, BrokenPipeError):
            return 141
        session.out.failure(WrongUse(f"{reason.filename or 'The output'} cannot be written: {reason.strerror}"))
        return WrongUse.code
    return 0
