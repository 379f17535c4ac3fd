"""The edge between API Gateway and a handler.

A handler declares its route with `Api.endpoint`. `openapi.json` is built from these declarations (contract/openapi.py), and so
is what checks every request (operations.py).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from orders import database
from orders.driver import DatabaseError
from orders.errors import Problem, from_database, sqlstate
from orders.logs import logger
from orders.operations import Operation, contract
from orders.requests import Event
from orders.responses import Response, message_response, problem_response

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Handler = Callable[..., Response]
PROXY = "/{proxy+}"


class Endpoint(NamedTuple):
    """What a handler declares: everything that openapi.json, the gateways and CDK know about it.

    path: in API Gateway's form (`/api/orders/{order_id}`), without trailing slash. scopes: any one of them suffices; none makes
    the route public. returns: for each successful status the name of its model, or the content type where that is not JSON, or
    both, separated by commas; None for an empty body. problems: beside 400, 422 and 503, and 413 and 415 of a POST or PATCH.
    any_query: the query string is not looked at, because it is for the script of a page.
    """

    function: Handler
    method: str
    path: str
    scopes: list[str]
    returns: Mapping[int, str | None]
    problems: list[int]
    tag: str
    any_query: bool


class Api:
    """The endpoints of one function, usually one."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        self.operations: dict[str, Operation] = {}

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        scopes: list[str],
        returns: Mapping[int, str | None],
        problems: list[int] | None = None,
        tag: str,
        any_query: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Declares the route of a handler, as Endpoint says. Its docstring becomes the summary and the description."""

        def declare(function: Handler) -> Handler:
            self.endpoints.append(Endpoint(function, method, path, scopes, returns, problems or [], tag, any_query))
            return function

        return declare

    @property
    def handler(self) -> Callable[[Event, "LambdaContext"], Response]:
        """What Lambda calls. Reading it prepares validation, so that a cold start does that before its first request."""
        for endpoint in self.endpoints:
            try:
                operation = Operation(contract(), endpoint.method, endpoint.path, endpoint.function)
            except (KeyError, ValueError):
                # The handler disagrees with openapi.json, which is about to be rebuilt.
                continue
            self.operations[f"{endpoint.method} {endpoint.path}"] = operation
            # API Gateway's twin of the route, for a trailing slash.
            self.operations[f"{endpoint.method} {endpoint.path}{PROXY}"] = operation
        return self._handle

    def _handle(self, event: Event, context: "LambdaContext") -> Response:
        database.begin_invocation(context)
        if event["routeKey"] not in self.operations:
            raise LookupError(f"openapi.json does not describe this operation; run `make openapi`: {event['routeKey']}")
        if event.get("pathParameters", {}).get("proxy"):
            # What API Gateway would have answered, had it known that the path leads nowhere.
            return message_response(404, "Not Found")
        operation = self.operations[event["routeKey"]]
        try:
            request, arguments = operation.read(event)
            response: Response = operation.function(request, **arguments)
            return response
        except Problem as problem:
            return _refuse(problem)
        except DatabaseError as error:
            return _refuse(_problem_of(error))


def _refuse(problem: Problem) -> Response:
    if problem.status == 503:
        logger().warning(problem.detail, extra={"cause": repr(problem.__cause__)})
    return problem_response(problem)


def _problem_of(error: DatabaseError) -> Problem:
    problem = from_database(error)
    if problem is None:
        # Without the driver's text, which can quote values that do not belong in a log.
        raise RuntimeError(f"PostgreSQL refused a statement with SQLSTATE {sqlstate(error)}") from None
    return problem
