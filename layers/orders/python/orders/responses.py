"""Responses in the form that API Gateway expects from a function."""

import json
from typing import Any

from orders.errors import Problem
from orders.requests import JSON

PROBLEM_JSON = "application/problem+json"
# Nearly every response contains personal data. The few that may be cached override this.
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Response = dict[str, Any]


def response(status: int, content_type: str | None, body: str, headers: dict[str, str]) -> Response:
    """content_type: None if there is no body."""
    typed = {"Content-Type": content_type} if content_type else {}
    return {"statusCode": status, "headers": {**HEADERS, **typed, **headers}, "body": body, "isBase64Encoded": False}


def json_response(body: str, *, etag: str | None = None, status: int = 200, **headers: str) -> Response:
    """A JSON text that PostgreSQL made, passed on as it is."""
    if etag:
        headers["ETag"] = etag
    return response(status, JSON, body, headers)


def message_response(status: int, message: str) -> Response:
    """In the form of API Gateway's own responses."""
    return response(status, JSON, json.dumps({"message": message}, separators=(",", ":")), {})


def problem_response(problem: Problem) -> Response:
    return response(problem.status, PROBLEM_JSON, problem.body(), problem.headers)


def conditional_response(body: str, etag: str, if_none_match: str | None) -> Response:
    """The document, or 304 for a client that already has it."""
    if if_none_match is not None and (if_none_match.strip() == "*" or etag in etags(if_none_match, weak=True)):
        return response(304, None, "", {"ETag": etag})
    return json_response(body, etag=etag)


def etags(header: str, *, weak: bool = False) -> list[str]:
    """The entity tags in an If-Match or If-None-Match header. weak: W/ makes no difference to If-None-Match (RFC 9110)."""
    tags = [tag.strip() for tag in header.split(",")]
    return [tag.removeprefix("W/") for tag in tags] if weak else tags


def if_match_tags(if_match: str | None) -> list[str] | None:
    """What the statement compares the ETag with; None if any will do."""
    return None if if_match is None or if_match.strip() == "*" else etags(if_match)
