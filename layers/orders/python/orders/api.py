"""The edge between API Gateway and a handler: routing, reading requests strictly, and one form for every answer.

A handler declares its route with `Api.endpoint`; `openapi.json` is made from those declarations.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, NoReturn
from urllib.parse import parse_qsl, urlencode

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from orders import database
from orders.connection import Row
from orders.driver import DatabaseError
from orders.errors import KINDS, Problem, all_invalid, from_database, invalid, sqlstate
from orders.models import EMAIL, MAX_INTEGER, PRINTABLE, PRINTABLE_OR_EMPTY, ProblemDocument
from orders.paging import MAX_CURSOR_LENGTH, decode_cursor, encode_cursor

logger = Logger()

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
MAX_QUERY_FIELDS = 50
# The largest order that fits the contract, every character of it escaped, has 425 KB.
MAX_BODY_BYTES = 512 * 1024
# An order of 500 items has 501 objects and 1,502 fields. What holds twice as many is not worth looking at one by one.
MAX_JSON_PARTS = 4_000
# Lambda passes on at most 6 MB, measured after the runtime client has escaped the page within its own JSON.
MAX_PAGE_BYTES = 4_000_000
# An emoji becomes a surrogate pair in escapes.
MAX_ESCAPED_BYTES = len(r"\ud83d\ude00")
MAX_CALLER_LENGTH = 255
VISIBLE_ASCII = r"^[!-~]+$"

DESCRIPTIONS = {
    200: "The answer",
    201: "It was created",
    202: "It was queued",
    204: "It was deleted",
    304: "It has not changed",
}

PATTERN_MESSAGES = {
    EMAIL: "is not an e-mail address",
    PRINTABLE: "must hold something visible, and no control, line-separator or bidirectional-control characters",
    PRINTABLE_OR_EMPTY: "must not hold control characters",
    VISIBLE_ASCII: "must hold visible ASCII characters only",
}
# By pydantic's name of the mistake, with what pydantic knows about the field filled in.
MESSAGES = {
    "extra_forbidden": "is not known here",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "has more digits than any number here",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "missing": "is missing",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have {min_length} or more characters",
    "string_type": "must be a text",
    "string_unicode": "must not hold half of a surrogate pair",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have {min_length} or more entries",
    "uuid_parsing": "must be a UUID",
}


def _digits(value: object) -> object:
    """pydantic also takes "+1", "1.0", "1_0" and " 1 " for a number in a text, and "01", which would be a second path."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and (value[0] != "0" or value == "0")):
        raise PydanticCustomError("digits", "must be a whole number in decimal digits, without leading zeros")
    return value


Id = Annotated[int, Field(ge=1, le=MAX_INTEGER), BeforeValidator(_digits), Path()]
CustomerFilter = Annotated[
    Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None, BeforeValidator(_digits), Query(alias="customer_id")
]
EmailFilter = Annotated[
    str | None,
    Query(
        alias="email",
        max_length=254,
        pattern=PRINTABLE_OR_EMPTY,
        description="Contained in the address, any letter case.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_digits), Query(description="Rows a page.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH, description="From `next` of the page before.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=VISIBLE_ASCII,
        description="1 to 255 visible ASCII characters, bare or quoted. Same key, path and body: the first answer again.",
    ),
]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The change is made only while the ETag is one of these.")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="304 while the ETag is one of these.")]


class Request(APIGatewayProxyEventV2):
    """An HTTP API event (payload 2.0), read strictly: what cannot be decoded is refused, never guessed."""

    @property
    def path(self) -> str:
        """Without the trailing slash, which makes no difference."""
        path = super().path.removesuffix("/")
        # Powertools' patterns end in `$`, which would overlook a line break; with a slash behind it nothing fits.
        return f"{path}/" if path.endswith("\n") else path

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.raw_query_string, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
        except UnicodeDecodeError:
            raise Problem(400, "The query string is not UTF-8 text.") from None
        except ValueError:
            raise Problem(400, f"The query string has more than {MAX_QUERY_FIELDS} parameters.") from None

    @cached_property
    def resolved_query_string_parameters(self) -> dict[str, Any]:
        """From the raw text: API Gateway joins repeated keys with commas, which a value may hold itself."""
        values: dict[str, list[str]] = {}
        for name, value in self.query:
            values.setdefault(name, []).append(value)
        return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}

    @cached_property
    def decoded_body(self) -> str:
        try:
            return super().decoded_body or ""
        except ValueError:
            raise Problem(400, "The body is not UTF-8 text.") from None

    @property
    def caller(self) -> str | None:
        """Who is told apart from others: the token's subject, or None where the API runs without authorization.

        A subject that could not be kept (OpenID Connect allows 255 characters, JWT any text) is told apart by its hash.
        """
        subject = self.request_context.authorizer.jwt_claim.get("sub")
        if subject is None or (len(subject) <= MAX_CALLER_LENGTH and subject.isprintable()):
            return subject
        return f"sha256:{sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"

    @property
    def request_id(self) -> str:
        return self.request_context.request_id

    @property
    def base_url(self) -> str:
        return (
            f"{self.headers.get('x-forwarded-proto', 'https')}://{self.headers.get('host', self.request_context.domain_name)}"
        )

    @property
    def accepts_gzip(self) -> bool:
        codings = self.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
        return any(re.fullmatch(r"gzip(;q=(1|0\.0*[1-9]).*)?", coding) for coding in codings)

    @property
    def list_scope(self) -> str:
        """What a cursor of this list is bound to: the path and the filters, in any order."""
        filters = sorted(pair for pair in self.query if pair[0] not in ("cursor", "limit"))
        return f"{self.path}?{urlencode(filters)}"


class Api(APIGatewayHttpResolver):
    """Powertools' resolver for one function, with the contract's rules for every endpoint."""

    current_event: Request

    def __init__(self) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=_read_json)
        self.use([_refuse_unknown_input])
        self.exception_handler(Problem)(_answer_problem)
        self.exception_handler(RequestValidationError)(_answer_validation_error)
        self.exception_handler(DatabaseError)(_answer_database_error)
        self.exception_handler(UnicodeEncodeError)(_answer_unencodable)
        # What API Gateway would have answered had it known that the path goes nowhere.
        self.not_found(lambda _: Response(404, JSON, '{"message":"Not Found"}'))

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        scopes: list[str],
        returns: Mapping[int, type[BaseModel] | str | None],
        problems: list[int] | None = None,
        tag: str,
        operation_id: str | None = None,
    ) -> Callable[[Callable[..., Response[str]]], Callable[..., Response[str]]]:
        """Declares the route of a handler: everything that openapi.json, the gateways and CDK say about it.

        path: in Powertools' form (`/api/orders/<order_id>`), without trailing slash. scopes: any one of them suffices; none
        makes the route open. returns: the model of each successful status, its content type where that is
        not JSON, None for an empty body. problems: beside 400, 422 and 503, and 413 and 415 where a body can be sent.
        The handler's docstring becomes the summary (its first line) and the description.
        """

        def declare(function: Callable[..., Response[str]]) -> Callable[..., Response[str]]:
            summary, _, description = (function.__doc__ or "").partition("\n")
            documented: dict[int, Any] = {status: _documented(status, model) for status, model in returns.items()}
            refused_bodies = [413, 415] if method in ("POST", "PATCH") else []
            for status in sorted({400, 422, 503, *refused_bodies, *(problems or [])}):
                documented[status] = _documented(status, ProblemDocument, PROBLEM_JSON)
            self.route(
                path,
                method,
                summary=summary,
                description=" ".join(description.split()) or None,
                responses=documented,
                tags=[tag],
                operation_id=operation_id or function.__name__,
                security=[{"oauth2": scopes}] if scopes else None,
            )(function)
            return function

        return declare

    def handler(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """What Lambda calls."""
        problem = _unreadable_body(event)
        # Powertools would read a form as well, and refuses other types in a form of its own.
        event["headers"]["content-type"] = JSON
        database.begin_invocation(context)
        answer = _refusal(problem) if problem else self.resolve(event, context)
        # Nearly every answer holds personal data. The few that may be kept say so.
        answer["headers"] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answer["headers"]}
        return answer

    def _to_proxy_event(self, event: dict[str, Any]) -> Request:
        return Request(event, self._json_body_deserializer)


def document(body: str, *, etag: str | None = None, status: int = 200, **headers: str) -> Response[str]:
    """A JSON text that PostgreSQL made, passed on as it is."""
    if etag:
        headers["ETag"] = etag
    return Response(status, JSON, body, headers)


def conditional_document(body: str, etag: str, if_none_match: str | None) -> Response[str]:
    """The document, or 304 to a client that has it already."""
    if if_none_match is not None and (if_none_match.strip() == "*" or etag in validators(if_none_match, weak=True)):
        return Response(304, None, "", {"ETag": etag})
    return document(body, etag=etag)


def validators(header: str, *, weak: bool = False) -> list[str]:
    """The entity tags in an If-Match or If-None-Match header. weak: W/ makes no difference to If-None-Match (RFC 9110)."""
    tags = [tag.strip() for tag in header.split(",")]
    return [tag.removeprefix("W/") for tag in tags] if weak else tags


def required_validators(if_match: str | None) -> list[str] | None:
    """What the statement compares the ETag with; None where any will do."""
    return None if if_match is None or if_match.strip() == "*" else validators(if_match)


def page(request: Request, rows: list[Row], limit: int) -> Response[str]:
    """A page of a list, ended early where its rows are large.

    rows: up to limit + 1, each its sort keys and then its document as JSON text.
    """
    count = min(limit, _fitting(rows))
    following, cursor = None, None
    if len(rows) > count:
        cursor = encode_cursor(rows[count - 1][:-1], request.list_scope)
        query = [pair for pair in request.query if pair[0] != "cursor"] + [("cursor", cursor)]
        following = f"{request.base_url}{request.path}/?{urlencode(query)}"
    results = ", ".join(row[-1] for row in rows[:count])
    return document(f'{{"results": [{results}], "next": {json.dumps(following)}, "next_cursor": {json.dumps(cursor)}}}')


def _fitting(rows: list[Row]) -> int:
    """How many of the rows fit into an answer; at least one, which a single document always does."""
    if sum(len(row[-1]) for row in rows) * MAX_ESCAPED_BYTES <= MAX_PAGE_BYTES:
        return len(rows)
    used = 0
    for position, row in enumerate(rows):
        used += len(json.dumps(row[-1]))
        if used > MAX_PAGE_BYTES and position:
            return position
    return len(rows)


def contains(text: str | None) -> str | None:
    """A LIKE pattern for texts in lower case that contain this one, each of its characters literal."""
    if text is None:
        return None
    return "%" + text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def page_start(request: Request, cursor: str | None, first: list[int]) -> list[int]:
    """The sort keys after which a page begins; first: what comes before every row."""
    return first if cursor is None else decode_cursor(cursor, request.list_scope, len(first))


def body_hash(model: BaseModel) -> str:
    """The same for bodies that mean the same, however they are spelt."""
    return sha256(model.model_dump_json().encode()).hexdigest()


def _documented(status: int, body: type[BaseModel] | str | None, content_type: str = JSON) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if isinstance(body, str):
        content[body] = {"schema": {}}
    elif body:
        content[content_type] = {"model": body}
    return {"description": KINDS[status][1] if status in KINDS else DESCRIPTIONS[status], "content": content}


def _unreadable_body(event: dict[str, Any]) -> Problem | None:
    """Why the body is not even looked at: 413 or 415."""
    body = event.get("body")
    if not body:
        return None
    if event.get("isBase64Encoded"):
        size = len(body) * 3 // 4 - body[-2:].count("=")
    else:
        size = len(body.encode("utf-8", "surrogatepass"))
    if size > MAX_BODY_BYTES:
        return Problem(413, f"A body has at most {MAX_BODY_BYTES // 1024} KB.")
    media_type = event["headers"].get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        return Problem(415, f"A body needs the header Content-Type: {JSON}.")
    return None


def _refusal(problem: Problem) -> dict[str, Any]:
    headers = {"Content-Type": PROBLEM_JSON, **problem.headers}
    return {"statusCode": problem.status, "headers": headers, "body": problem.body(), "isBase64Encoded": False}


def _read_json(text: str) -> dict[str, Any]:
    parts = 0

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal parts
        parts += 1 + len(pairs)
        if parts > MAX_JSON_PARTS:
            raise invalid("body", "has more objects and fields than any request here needs")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Problem(400, "The body is not valid JSON: an object has a key twice.")
        return found

    try:
        body = json.loads(text, object_pairs_hook=read_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise Problem(400, "The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise Problem(400, f"The body is not valid JSON: it cannot be read from character {error.pos} on.") from None
    except ValueError:
        # Python's limit for the digits of an integer.
        raise invalid("body", "has a number with more digits than any number here") from None
    if not isinstance(body, dict):
        # Powertools would take the first element of a list for the body.
        raise invalid("body", "must be a JSON object")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise Problem(400, f"The body is not valid JSON: {name} is not a number.")


def _refuse_unknown_input(app: Api, next_middleware: NextMiddleware) -> Response[str]:
    """A mistyped filter must not silently widen what is listed, nor a body be sent to where none is read."""
    dependant = app.context["_route"].dependant
    known = [parameter.alias for parameter in dependant.query_params]
    unknown = [name for name, _ in app.current_event.query if name not in known]
    if unknown:
        message = f"is not a parameter here; known: {', '.join(known) or 'none'}"
        raise all_invalid([{"field": name, "message": message} for name in unknown])
    if not dependant.body_params and app.current_event.decoded_body.strip() not in ("", "{}"):
        raise invalid("body", "is not read here")
    return next_middleware(app)


def _answer_problem(problem: Problem) -> Response[str]:
    if problem.status == 503:
        logger.warning(problem.detail, extra={"cause": repr(problem.__cause__)})
    return Response(problem.status, PROBLEM_JSON, problem.body(), problem.headers)


def _answer_validation_error(error: RequestValidationError) -> Response[str]:
    return _answer_problem(all_invalid([{"field": _field(entry), "message": _message(entry)} for entry in error.errors()]))


def _field(entry: dict[str, Any]) -> str:
    place, *path = map(str, entry["loc"])
    # Powertools looks headers up in lower case.
    return "-".join(word.capitalize() for word in path[0].split("-")) if place == "header" else ".".join(path) or place


def _message(entry: dict[str, Any]) -> str:
    """Of our own wherever pydantic makes one: its wording changes with its versions."""
    context = entry.get("ctx", {})
    own = PATTERN_MESSAGES.get(context.get("pattern")) or MESSAGES.get(entry["type"])
    return own.format(**context) if own else str(entry["msg"])


def _answer_database_error(error: DatabaseError) -> Response[str]:
    problem = from_database(error)
    if problem is None:
        # Without the driver's text, which can quote values that do not belong into a log.
        raise RuntimeError(f"PostgreSQL refused a statement with SQLSTATE {sqlstate(error)}") from None
    return _answer_problem(problem)


def _answer_unencodable(_: UnicodeEncodeError) -> Response[str]:
    return _answer_problem(Problem(422, "A text holds half of a surrogate pair, which no encoding can carry."))
