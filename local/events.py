"""HTTP requests as events of an API Gateway HTTP API, payload format 2.0, and functions' answers as HTTP responses."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

API_ID = "local"
# What API Gateway passes on as text; everything else, and what is not UTF-8, is passed on as base64.
TEXT_TYPES = ("application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire; header names in lower case."""

    method: str
    raw_path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    source_ip: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"
    scheme: str = "http"

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def message(status: int, text: str, *headers: tuple[str, str]) -> HttpResponse:
    """An answer that API Gateway itself gives."""
    return HttpResponse(
        status, [("content-type", "application/json"), *headers], json.dumps({"message": text}, separators=(",", ":")).encode()
    )


def http_event(
    request: HttpRequest, route_key: str, path_parameters: dict[str, str], request_id: str, authorizer: dict[str, Any] | None
) -> dict[str, Any]:
    """What the function gets. As in HTTP APIs, `rawPath` is decoded and `rawQueryString` is not."""
    now = time.time()
    host = request.header("host") or "localhost"
    path = unquote(request.raw_path)
    headers = {name: request.header(name) or "" for name, _ in request.headers if name != "cookie"}
    scheme_headers = {
        "x-forwarded-for": request.source_ip,
        "x-forwarded-proto": request.scheme,
        "x-forwarded-port": host.rpartition(":")[2],
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": {**headers, **scheme_headers},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": API_ID,
            "domainName": host.partition(":")[0],
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": request.header("user-agent") or "",
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies := [value for name, value in request.headers if name == "cookie"]:
        event["cookies"] = [cookie.strip() for value in cookies for cookie in value.split(";")]
    if parameters := _query_parameters(request.query):
        event["queryStringParameters"] = parameters
    if path_parameters:
        event["pathParameters"] = path_parameters
    if authorizer is not None:
        event["requestContext"]["authorizer"] = authorizer
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def http_response(answer: Any) -> HttpResponse:
    """The response that a function's answer describes. Raises ValueError if it describes none."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return HttpResponse(200, [("content-type", "application/json")], json.dumps(answer).encode())
    status = int(answer["statusCode"])
    if not 100 <= status <= 599:
        raise ValueError(f"{status} is not an HTTP status")
    headers = {str(name).lower(): _text(value) for name, value in (answer.get("headers") or {}).items()}
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    if status in (204, 304):
        headers.pop("content-type")
    pairs = [*headers.items(), *(("set-cookie", str(cookie)) for cookie in answer.get("cookies") or [])]
    text = answer.get("body") or ""
    return HttpResponse(
        status, pairs, base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else str(text).encode()
    )


def _query_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(request: HttpRequest) -> tuple[str, bool]:
    media_type = (request.header("content-type") or "application/json").partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in TEXT_TYPES or media_type.endswith(("+json", "+xml")):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
