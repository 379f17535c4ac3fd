"""Requests become the events that API Gateway would send; answers become the responses that it would return.

The events in tests/events/ are golden: written by hand from API Gateway's documentation, not by this code.
"""

import asyncio
import base64
import hmac
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from contract.functions import Function, Route
from local.auth import Authorizer, Issuer
from local.console import Console
from local.events import HttpRequest, HttpResponse, http_response
from local.gateway import Gateway
from local.guard import Guard
from local.runtime import FunctionPool, Result

HOST = "localhost:8000"
EVENTS = Path(__file__).parent.parent / "events"
ROUTES = (
    Route("GET", "/things", ("things/read",)),
    Route("POST", "/things", ("things/write", "things/admin")),
    Route("GET", "/things/{thing_id}", ("things/read",)),
    Route("GET", "/things/summary", ()),
)


class RecordingFunction(FunctionPool):
    """A function in this process: the events that it received, and the answer that it gives."""

    def __init__(self, *routes: Route, answer: Any = None) -> None:
        function = Function(name=" ".join(f"{route.method} {route.path}" for route in routes), folder=Path(), routes=routes)
        super().__init__(function, lambda _: pytest.fail("no process is needed"), Console(io.StringIO()))
        self.answer = {"statusCode": 200, "body": "{}"} if answer is None else answer
        self.events: list[dict[str, Any]] = []

    async def invoke(self, event: Any) -> Result:
        self.events.append(event)
        return self.answer if isinstance(self.answer, Result) else Result(json.dumps(self.answer).encode(), failed=False)


@dataclass
class Front:
    """A gateway with one recording function per route."""

    authorizer: Authorizer | None = None
    cors: tuple[str, ...] = ()
    answer: Any = None
    functions: list[RecordingFunction] = field(default_factory=list)
    screen: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.gateway = Gateway(Console(self.screen), self.authorizer, Guard(frozenset({HOST}), self.cors))
        self.functions = [RecordingFunction(route, answer=self.answer) for route in ROUTES]
        self.gateway.set_functions(self.functions)

    def ask(self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]) -> HttpResponse:
        path, _, query = target.partition("?")
        request = HttpRequest(method, path, query, [("host", HOST), *headers], body)
        return asyncio.run(self.gateway.answer(request, "request-1"))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for function in self.functions for event in function.events]

    def over_the_wire(self, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, dict[str, str], bytes]:
        """What really leaves the gateway, through its ASGI interface."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in (("host", HOST), *headers)],
            "client": ("127.0.0.1", 5000),
        }
        asyncio.run(self.gateway(scope, receive, send))
        answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], answered, sent[1]["body"]


@pytest.mark.parametrize("file", sorted(EVENTS.glob("*.json")), ids=lambda file: file.stem)
def test_golden_events(file: Path) -> None:
    golden = json.loads(file.read_text())
    front, request = Front(), golden["request"]
    headers = [(name.lower(), value) for name, value in request["headers"]]
    body = bytes.fromhex(request["body_hex"]) if "body_hex" in request else request.get("body", "").encode()
    front.ask(request["method"], request["target"], body, *headers)
    [event] = front.events
    assert {"time", "timeEpoch"} <= event["requestContext"].keys()
    assert _part(event, golden["event"]) == golden["event"]
    for absent in golden.get("absent", []):
        assert absent not in event


def _part(actual: Any, expected: Any) -> Any:
    """The part of an event that a golden one describes: everything except keys of objects that it does not name."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        return {key: _part(actual[key], value) for key, value in expected.items() if key in actual}
    return actual


@pytest.mark.parametrize(
    ("target", "route_key", "parameters"),
    [
        ("/things", "GET /things", None),
        ("/things/", "GET /things/{proxy+}", {"proxy": ""}),
        ("/things/5", "GET /things/{thing_id}", {"thing_id": "5"}),
        ("/things/5/", "GET /things/{thing_id}/{proxy+}", {"thing_id": "5", "proxy": ""}),
        ("/things/summary", "GET /things/summary", None),
        ("/things/summary/", "GET /things/summary/{proxy+}", {"proxy": ""}),
        ("/things/5/a/b", "GET /things/{thing_id}/{proxy+}", {"thing_id": "5", "proxy": "a/b"}),
        ("/things/a%20b", "GET /things/{thing_id}", {"thing_id": "a b"}),
    ],
)
def test_the_most_specific_route_wins(target: str, route_key: str, parameters: dict[str, str] | None) -> None:
    front = Front()
    assert front.ask("GET", target).status == 200
    [event] = front.events
    assert (event["routeKey"], event.get("pathParameters")) == (route_key, parameters)


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/thing"), ("DELETE", "/things"), ("GET", "/"), ("HEAD", "/things"), ("GET", "//things")]
)
def test_a_request_without_a_route_is_not_found(method: str, target: str) -> None:
    front = Front()
    response = front.ask(method, target)
    assert (response.status, response.body) == (404, b'{"message":"Not Found"}')
    assert front.events == []


@pytest.mark.parametrize(
    ("answer", "status", "body", "headers"),
    [
        (
            {"statusCode": 201, "headers": {"Location": "/x", "X-Count": 5, "X-Flag": True}, "body": "hi"},
            201,
            b"hi",
            {"location": "/x", "x-count": "5", "x-flag": "true"},
        ),
        ({"statusCode": "404"}, 404, b"", {}),
        ({"statusCode": 200, "isBase64Encoded": True, "body": "aGk="}, 200, b"hi", {}),
        ({"hello": "world"}, 200, b'{"hello": "world"}', {"content-type": "application/json"}),
        ("text", 200, b'"text"', {"content-type": "application/json"}),
        ({"statusCode": 200, "body": "ü"}, 200, "ü".encode(), {"content-type": "text/plain;charset=UTF-8"}),
    ],
)
def test_an_answer_becomes_a_response(answer: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    response = http_response(answer)
    assert (response.status, response.body) == (status, body)
    assert dict(response.headers).items() >= headers.items()


def test_cookies_of_an_answer_become_separate_headers() -> None:
    response = http_response({"statusCode": 200, "cookies": ["a=1; Secure", "b=2"]})
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1; Secure", "b=2"]


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "x"},
        {"statusCode": 99},
        {"statusCode": 200, "isBase64Encoded": True, "body": "!"},
        {"statusCode": 200, "headers": "no"},
    ],
)
def test_an_invalid_answer_is_an_internal_error(answer: Any) -> None:
    response = Front(answer=answer).ask("GET", "/things")
    assert (response.status, response.body) == (500, b'{"message":"Internal Server Error"}')


def test_a_failing_function_gives_500_and_one_that_is_too_slow_503() -> None:
    failing = Result(b'{"errorType": "ValueError", "errorMessage": "secret"}', failed=True)
    assert Front(answer=failing).ask("GET", "/things").body == b'{"message":"Internal Server Error"}'
    slow = Result(b'{"errorType": "Sandbox.Timedout"}', failed=True)
    response = Front(answer=slow).ask("GET", "/things")
    assert (response.status, response.body) == (503, b'{"message":"Service Unavailable"}')


ORIGIN = "https://shop.example.com"


def test_a_preflight_is_answered_without_the_function() -> None:
    front = Front(cors=(ORIGIN,))
    status, headers, body = front.over_the_wire(
        "OPTIONS", "/things", ("origin", ORIGIN), ("access-control-request-method", "POST")
    )
    assert (status, body, headers["access-control-allow-origin"]) == (204, b"", ORIGIN)
    assert "POST" in headers["access-control-allow-methods"]
    assert "idempotency-key" in headers["access-control-allow-headers"]
    assert front.events == []


@pytest.mark.parametrize("path", ["/things", "/nowhere"])
def test_every_answer_to_a_known_origin_and_no_other_has_cors_headers(path: str) -> None:
    front = Front(cors=(ORIGIN,))
    assert front.over_the_wire("GET", path, ("origin", ORIGIN))[1]["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in front.over_the_wire("GET", path, ("origin", "https://evil.example.com"))[1]
    assert "access-control-allow-origin" not in Front().over_the_wire("GET", path, ("origin", ORIGIN))[1]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path, "https://issuer.example.com")


@pytest.fixture
def guarded(issuer: Issuer) -> Front:
    return Front(Authorizer(issuer.url, "orders-local", issuer.key_set()), (ORIGIN,))


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


@pytest.mark.parametrize("scopes", [["things/read"], ["other", "things/read"]])
def test_a_token_with_the_scope_gets_in_and_its_claims_reach_the_function(
    guarded: Front, issuer: Issuer, scopes: list[str]
) -> None:
    assert guarded.ask("GET", "/things/", b"", bearer(issuer.token(scopes, "ann", admin=True))).status == 200
    [event] = guarded.events
    authorizer = event["requestContext"]["authorizer"]["jwt"]
    assert (authorizer["claims"]["sub"], authorizer["claims"]["admin"], authorizer["scopes"]) == (
        "ann",
        "true",
        ["things/read"],
    )


def test_any_one_of_a_routes_scopes_suffices(guarded: Front, issuer: Issuer) -> None:
    for scope in ("things/write", "things/admin"):
        assert guarded.ask("POST", "/things", b"", bearer(issuer.token([scope]))).status == 200


@pytest.mark.parametrize("scopes", [[], ["things/write"], ["things"]])
def test_a_token_without_the_scope_is_forbidden(guarded: Front, issuer: Issuer, scopes: list[str]) -> None:
    response = guarded.ask("GET", "/things", b"", bearer(issuer.token(scopes)))
    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')
    assert 'scope="things/read"' in dict(response.headers)["www-authenticate"]
    assert guarded.events == []


def test_an_open_route_needs_no_token(guarded: Front) -> None:
    assert guarded.ask("GET", "/things/summary").status == 200


def _other_issuer(tmp_path: Path) -> Issuer:
    (tmp_path / "other").mkdir()
    return Issuer(tmp_path / "other", "https://issuer.example.com")


def signed_with_the_public_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    """Built by hand: libraries refuse to do it."""
    pem = issuer.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "local-1"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return (text + b"." + base64.urlsafe_b64encode(hmac.digest(pem, text, "sha256")).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "garbage",
        "expired",
        "not yet",
        "audience",
        "issuer",
        "another key",
        "unknown kid",
        "no kid",
        "alg none",
        "public key as secret",
        "no expiry",
    ],
)
def test_an_invalid_token_is_unauthorized(guarded: Front, issuer: Issuer, tmp_path: Path, name: str) -> None:
    good = issuer.token(["things/read"])
    claims = jwt.decode(good, options={"verify_signature": False})
    forge = {"kid": "local-1"}
    tokens = {
        "garbage": "garbage",
        "expired": issuer.token(["things/read"], exp=claims["iat"] - 10),
        "not yet": issuer.token(["things/read"], nbf=claims["iat"] + 600),
        "audience": issuer.token(["things/read"], aud="somebody else"),
        "issuer": issuer.token(["things/read"], iss="https://evil.example.com"),
        "another key": _other_issuer(tmp_path).token(["things/read"]),
        "unknown kid": jwt.encode(claims, issuer.key, "RS256", headers={"kid": "other"}),
        "no kid": jwt.encode(claims, issuer.key, "RS256"),
        "alg none": jwt.encode(claims, "", "none", headers=forge),
        "public key as secret": signed_with_the_public_key(issuer, claims),
        "no expiry": jwt.encode(
            {key: value for key, value in claims.items() if key != "exp"}, issuer.key, "RS256", headers=forge
        ),
    }
    headers = [] if name == "none" else [bearer(tokens[name])]
    response = guarded.ask("GET", "/things", b"", *headers)
    assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')
    assert dict(response.headers)["www-authenticate"].startswith("Bearer")
    assert guarded.events == []


@pytest.mark.parametrize(
    "claims", [{"scope": None}, {"scope": 5}, {"scope": {"things/read": 1}}, {"aud": 5}, {"aud": {"orders-local": 1}}]
)
def test_a_signed_token_whose_claims_have_the_wrong_type_is_unauthorized(
    guarded: Front, issuer: Issuer, claims: dict[str, Any]
) -> None:
    response = guarded.ask("GET", "/things", b"", bearer(issuer.token(["things/read"], **claims)))
    assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')
    assert guarded.events == []


def test_an_infinite_time_is_unauthorized(guarded: Front, issuer: Issuer) -> None:
    """Python reads JSON's 1e999 as infinity."""
    response = guarded.ask("GET", "/things", b"", bearer(issuer.token(["things/read"], exp=float("inf"))))
    assert response.status == 401


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["a\r\nset-cookie: a=b"]},
        {"crit": ["\x00\x1b[2J"]},
        {"kid": "\r\n"},
        {"alg": "\n"},
        {"kid": ["local-1"]},
    ],
)
def test_what_a_token_says_cannot_break_the_refusal(guarded: Front, issuer: Issuer, header: dict[str, Any]) -> None:
    """A header with a line break would make the web server drop the connection, or send a header that the client wrote."""
    parts = [{"alg": "RS256", "kid": "local-1", **header}, {"iss": issuer.url}]
    token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    response = guarded.ask("GET", "/things", b"", bearer(f"{token}.AAAA"))
    assert response.status == 401
    assert all(value.isprintable() and value.isascii() for _, value in response.headers)


def test_a_header_nested_too_deeply_is_unauthorized(guarded: Front) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 7000).decode().rstrip("=")
    assert guarded.ask("GET", "/things", b"", bearer(f"{nested}.e30.AAAA")).status == 401


def test_refusals_have_cors_headers_too(guarded: Front) -> None:
    status, headers, _ = guarded.over_the_wire("GET", "/things", ("origin", ORIGIN))
    assert (status, headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_a_client_id_counts_where_there_is_no_audience(guarded: Front, issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token(["things/read"], client_id="orders-local"), options={"verify_signature": False})
    del claims["aud"]
    token = jwt.encode(claims, issuer.key, "RS256", headers={"kid": "local-1"})
    assert guarded.ask("GET", "/things", b"", bearer(token)).status == 200
