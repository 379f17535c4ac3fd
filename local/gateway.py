"""The HTTP API: routes requests to functions, and answers others itself, as API Gateway does."""

import base64
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from contract.edge import CORS_EXPOSED, CORS_HEADERS, CORS_MAX_AGE_SECONDS, CORS_METHODS
from local.auth import Authorizer, Issuer
from local.console import Console
from local.events import HttpRequest, HttpResponse, http_event, http_response, message
from local.guard import Guard
from local.mail import Mailbox
from local.routing import Router
from local.runtime import EventTooLarge, FunctionPool

# API Gateway's quotas.
MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_HEAD_BYTES = 10_240

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class BodyTooLarge(Exception):
    """The request's body exceeds API Gateway's quota."""


class ClientGone(Exception):
    """The connection ended before the request did. The part that arrived must not be acted on."""


class Gateway:
    """An ASGI application. Functions and routes can be replaced while it runs."""

    def __init__(
        self,
        console: Console,
        authorizer: Authorizer | None,
        guard: Guard,
        issuer: Issuer | None = None,
        mailbox: Mailbox | None = None,
    ) -> None:
        self.console = console
        self.authorizer = authorizer
        self.guard = guard
        self.set_functions([])
        self.issuer = issuer
        self.mailbox = mailbox

    def set_functions(self, pools: Iterable[FunctionPool]) -> None:
        self.pools = {pool.definition.name: pool for pool in pools}
        self.router = Router(pool.definition for pool in self.pools.values())

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        try:
            request = await _read(scope, receive)
            response = await self.answer(request, request_id)
            origin = request.header("origin")
        except BodyTooLarge:
            response, origin = message(413, "Request Entity Too Large"), None
        except ClientGone:
            return
        headers = [*response.headers, *self._cors(origin), ("apigw-requestid", request_id)]
        if response.status not in (204, 304):
            headers.append(("content-length", str(len(response.body))))
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await send({"type": "http.response.start", "status": response.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def answer(self, request: HttpRequest, request_id: str) -> HttpResponse:
        if refusal := self._refusal(request):
            return refusal
        if self._is_preflight(request):
            return self._preflight(request)
        if answer := self._own_answer(request):
            return answer
        match = self.router.match(request.method, request.raw_path)
        if match is None:
            return message(404, "Not Found")
        authorizer: dict[str, Any] | None = None
        if self.authorizer is not None and match.route.scopes:
            verdict = self.authorizer.authorize(request.header("authorization"), match.route.scopes)
            if isinstance(verdict, HttpResponse):
                return verdict
            authorizer = verdict
        event = http_event(request, match.route_key, match.path_parameters, request_id, authorizer)
        return await self._invoke(self.pools[match.function], request, event)

    def _own_answer(self, request: HttpRequest) -> HttpResponse | None:
        """Of what the laptop has beside the API: its issuer, and its mails for whoever may read orders."""
        if self.issuer is not None and (answer := self.issuer.answer(request)):
            return answer
        answer = None if self.mailbox is None else self.mailbox.answer(request)
        if answer is not None and self.authorizer is not None:
            verdict = self.authorizer.authorize(request.header("authorization"), ("orders/read",))
            return verdict if isinstance(verdict, HttpResponse) else answer
        return answer

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        """For a request that is not looked at any further: its head is too long, or a foreign page in a browser sent it."""
        headers = sum(len(name) + len(value) for name, value in request.headers)
        if headers + len(request.raw_path) + len(request.query) > MAX_HEAD_BYTES:
            return message(431, "Request Header Fields Too Large")
        if reason := self.guard.refusal(request.method, request.header):
            self.console.problem("gateway", f"{request.method} {request.raw_path} → 403: {reason}")
            return message(403, "Forbidden")
        return None

    async def _invoke(self, pool: FunctionPool, request: HttpRequest, event: dict[str, Any]) -> HttpResponse:
        name, start = pool.definition.name, time.perf_counter()
        try:
            result = await pool.invoke(event)
            if result.failed:
                unavailable = result.json.get("errorType") == "Sandbox.Timedout"
                response = message(503, "Service Unavailable") if unavailable else message(500, "Internal Server Error")
            else:
                response = http_response(result.json)
        except EventTooLarge:
            response = message(413, "Request Entity Too Large")
        except (ValueError, TypeError, AttributeError) as reason:
            self.console.problem(name, f"API Gateway would not understand the answer: {reason}")
            response = message(500, "Internal Server Error")
        query = f"?{request.query}" if request.query else ""
        self.console.request(
            name, request.method, request.raw_path + query, response.status, (time.perf_counter() - start) * 1000
        )
        return response

    def _is_preflight(self, request: HttpRequest) -> bool:
        return (
            bool(self.guard.origins)
            and request.method == "OPTIONS"
            and request.header("access-control-request-method") is not None
        )

    def _preflight(self, request: HttpRequest) -> HttpResponse:
        if (origin := request.header("origin")) is None or not self.guard.allows(origin):
            return HttpResponse(204)
        return HttpResponse(
            204,
            [
                ("access-control-allow-methods", ",".join(CORS_METHODS)),
                ("access-control-allow-headers", ",".join(CORS_HEADERS)),
                ("access-control-max-age", str(CORS_MAX_AGE_SECONDS)),
            ],
        )

    def _cors(self, origin: str | None) -> list[tuple[str, str]]:
        if origin is None or not self.guard.allows(origin):
            return []
        return [
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", ",".join(CORS_EXPOSED)),
            ("vary", "origin"),
        ]


async def _read(scope: dict[str, Any], receive: Receive) -> HttpRequest:
    body = bytearray()
    while True:
        part = await receive()
        if part["type"] == "http.disconnect":
            raise ClientGone
        body += part.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        if not part.get("more_body"):
            break
    raw_path = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        method=scope["method"],
        raw_path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
        body=bytes(body),
        source_ip=scope["client"][0] if scope.get("client") else "127.0.0.1",
        protocol=f"HTTP/{scope['http_version']}",
    )
