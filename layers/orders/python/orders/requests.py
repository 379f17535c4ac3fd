"""A request as API Gateway passes it on, decoded strictly: what cannot be decoded is refused, never guessed."""

import base64
import json
import re
from collections.abc import Container
from hashlib import sha256
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode

from orders.errors import Problem, invalid

JSON = "application/json"
NO_BODY = "this endpoint takes no body"
MAX_QUERY_FIELDS = 50
# The largest valid order takes 425 KB with every character escaped; with full metadata it fits as plain UTF-8.
MAX_BODY_BYTES = 512 * 1024
MAX_CALLER_LENGTH = 255
# Enough, with a sign, for every valid number and for one that is too large.
MAX_DIGITS = 18
# A longer number in a body is not even read.
MOST_DIGITS = 4300
# An argument is the first level, a field of an order's item the fourth. Nothing deeper than this is a field.
MAX_LEVELS = 10
# Stands for a string that no encoding can carry: a fraction, which no field may be, and not the one of `read_json`.
HALF_PAIR = 0.25

Event = dict[str, Any]


class Request:
    """An HTTP API event (payload format 2.0) for one operation.

    template: the operation's path. arguments: what its handler is called with beside this request.
    """

    def __init__(self, event: Event, template: str, arguments: dict[str, Any]) -> None:
        self.event = event
        self.template = template
        self.arguments = arguments

    @property
    def path(self) -> str:
        """With its parameters filled in and without a trailing slash, so that one resource has one path."""
        return self.template.format_map(self.arguments)

    @property
    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.event["headers"]
        return headers

    def query(self) -> list[tuple[str, str]]:
        """From the raw text: API Gateway joins repeated keys with commas, which a value may hold itself."""
        try:
            return parse_qsl(
                self.event["rawQueryString"], keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
            )
        except UnicodeDecodeError:
            raise Problem(400, "The query string is not UTF-8 text.") from None
        except ValueError:
            raise Problem(400, f"The query string has more than {MAX_QUERY_FIELDS} parameters.") from None

    def body(self, statuses: Container[int]) -> str:
        """Its text, or an empty string. Raises Problem if the body is too large or not text.

        statuses: what the operation may answer. One that has no 413 and 415 takes no body, so that neither size nor type could
        be corrected.
        """
        try:
            return self._text_of_body()
        except Problem as problem:
            if problem.status in statuses:
                raise
            raise invalid("body", NO_BODY) from None

    def _text_of_body(self) -> str:
        body: str = self.event.get("body") or ""
        if not body:
            return ""
        encoded = self.event.get("isBase64Encoded", False)
        # Base64 turns three bytes into four characters, and pads the last three.
        size = len(body) // 4 * 3 - body[-2:].count("=") if encoded else len(body.encode("utf-8", "surrogatepass"))
        if size > MAX_BODY_BYTES:
            raise Problem(413, f"A body has at most {MAX_BODY_BYTES // 1024} KB.")
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Problem(415, f"A body needs the header Content-Type: {JSON}.")
        try:
            return base64.b64decode(body).decode() if encoded else body
        except ValueError:
            raise Problem(400, "The body is not UTF-8 text.") from None

    @property
    def caller(self) -> str | None:
        """Who makes the request: the token's subject, or None where the API runs without authorization.

        A subject that cannot be stored (OpenID Connect allows 255 characters, JWT any string) is represented by its hash.
        """
        authorizer = self.event["requestContext"].get("authorizer")
        subject: str | None = authorizer["jwt"]["claims"].get("sub") if authorizer else None
        if subject is None or (len(subject) <= MAX_CALLER_LENGTH and subject.isprintable()):
            return subject
        return f"sha256:{sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"

    @property
    def token_scopes(self) -> list[str] | None:
        """All scopes of the token, or None where the API runs without authorization."""
        authorizer = self.event["requestContext"].get("authorizer")
        if not authorizer:
            return None
        claims = authorizer["jwt"]["claims"]
        # A list of the token's arrives as "[a b]".
        scopes: str = claims.get("scope") or claims.get("scp") or ""
        return scopes.strip("[]").split()

    @property
    def request_id(self) -> str:
        request_id: str = self.event["requestContext"]["requestId"]
        return request_id

    @property
    def base_url(self) -> str:
        host = self.headers.get("host", self.event["requestContext"]["domainName"])
        return f"{self.headers.get('x-forwarded-proto', 'https')}://{host}"

    @property
    def accepts_gzip(self) -> bool:
        codings = self.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
        return any(re.fullmatch(r"gzip(;q=(1|0\.0*[1-9]).*)?", coding) for coding in codings)

    @property
    def list_scope(self) -> str:
        """What a cursor of this list is bound to: the path and the filters, in any order."""
        filters = sorted(pair for pair in self.query() if pair[0] not in ("cursor", "limit"))
        return f"{self.path}?{urlencode(filters)}"


def read_json(text: str) -> dict[str, Any]:
    """The JSON object in a body. Raises Problem: 400 if it is not JSON, 422 if it is not an object."""
    try:
        body = json.loads(
            text,
            object_pairs_hook=_read_object,
            parse_constant=_refuse_constant,
            parse_float=_fraction,
            parse_int=_whole_number,
        )
    except RecursionError:
        raise Problem(400, "The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise Problem(400, f"The body is not valid JSON: it cannot be read from character {error.pos} on.") from None
    except OverflowError:
        raise invalid("body", "contains a number with too many digits") from None
    if not isinstance(body, dict):
        raise invalid("body", "must be a JSON object")
    return body


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(400, "The body is not valid JSON: an object has a key twice.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Problem(400, f"The body is not valid JSON: {name} is not a number.")


def _fraction(_: str) -> float:
    """JSON Schema takes 1.0 for an integer. No number in this contract has a fraction, so any fraction stands for all."""
    return 0.5


def _whole_number(text: str) -> int:
    """One number that is too large stands for all: checking thousands of digits takes long."""
    if len(text) > MOST_DIGITS:
        raise OverflowError
    return int(text[:MAX_DIGITS])


def without_half_pairs(value: Any, levels: int = MAX_LEVELS) -> Any:
    """JSON can spell half of a surrogate pair. In a name it becomes a `?`, and what has that name cannot be right."""
    if isinstance(value, str):
        return HALF_PAIR if any("\ud800" <= character <= "\udfff" for character in value) else value
    if levels == 0:
        return None
    if isinstance(value, dict):
        names = {name: name.encode("utf-8", "replace").decode() for name in value}
        whole = {name: without_half_pairs(value[name], levels - 1) for name, replaced in names.items() if name == replaced}
        return whole | {replaced: HALF_PAIR for name, replaced in names.items() if name != replaced}
    return [without_half_pairs(inner, levels - 1) for inner in value] if isinstance(value, list) else value
