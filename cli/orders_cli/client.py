"""The service's API: retries of what is safe to repeat, pages of lists, and refusals as failures."""

import json
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from orders_cli.errors import Refused, WrongUse, failure_of
from orders_cli.transport import Answer, connect, is_private, read, split, unreachable

# 500 is API Gateway's answer when a function crashes, which the next one may not.
RETRIED = (429, 500, 502, 503, 504)
RETRIES = 3
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60
PAGE_ROWS = 200

# The token to send, or None. refused: the last one was answered 401; None then means that there is no other.
Token = Callable[[bool], str | None]


class Client:
    def __init__(self, url: str, token: Token) -> None:
        self.url = split(url.rstrip("/"))
        self.token = token
        self.connection: HTTPConnection | None = None

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query=query)

    def create(self, path: str, body: Any, key: str | None) -> Any:
        """POST with an idempotency key, by default a new one, so that it can be repeated."""
        from uuid import uuid4  # needed by few commands

        key = str(uuid4()) if key is None else key
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise WrongUse("An idempotency key is 1 to 255 visible ASCII characters")
        return self.ask("POST", path, body, headers={"Idempotency-Key": key}, repeatable=True)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """The answer's JSON. A GET, and what is repeatable, is sent again after RETRIED or a lost connection.

        query: parameters; those that are None are left out. Raises a Failure for anything but a success.
        """
        given = [(name, value) for name, value in (query or {}).items() if value is not None]
        # Bytes of the command line that are no text arrive as they are, and the service says what is wrong with them.
        target = f"{self.url.path}{path}" + (f"?{urlencode(given, errors='surrogateescape')}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", "User-Agent": "orders-cli", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json"
        answer = self._send(method, target, data, sent, retries() if method == "GET" or repeatable else 0)
        if not 200 <= answer.status < 300:
            raise failure_of(answer.status, answer.document, request_id(answer), method, path)
        if answer.status != 204 and not isinstance(answer.document, dict):
            raise Refused(f"{method} {path} answers {answer.status}, but no JSON document", "Is the URL that of the service?")
        return answer.document

    def page(self, path: str, **query: Any) -> Any:
        """Raises Refused if the answer has not the form of a page."""
        page = self.get(path, **query)
        rows, cursor = page["results"], page["next_cursor"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not _is_cursor(cursor):
            raise Refused(f"GET {path} answers something else than a page of a list", "Is the URL that of the service?")
        return page

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list, each as its rows. Builds its own URLs, so that no answer says where the token goes."""
        cursor: str | None = None
        while True:
            page = self.page(path, **query, cursor=cursor)
            yield page["results"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def rows(self, path: str, most: int | None, **query: Any) -> Iterator[dict[str, Any]]:
        """The first rows of a list, or all of them if most is None."""
        left = most
        for page in self.pages(path, limit=PAGE_ROWS if most is None else min(most, PAGE_ROWS), **query):
            yield from page if left is None else page[:left]
            if left is not None:
                left -= len(page)
                if left <= 0:
                    return

    def _send(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str], attempts_left: int) -> Answer:
        token, wait = self.token(False), FIRST_WAIT_SECONDS
        while True:
            pause = wait * random.uniform(0.5, 1)
            try:
                answer = self._send_once(method, target, data, headers, token)
            except (OSError, HTTPException) as reason:
                if not attempts_left or isinstance(reason, ssl.SSLCertVerificationError):
                    raise unreachable(self.url, reason) from reason
            else:
                if answer.status == 401 and token and (renewed := self.token(True)):
                    token = renewed
                    continue
                pause = max(pause, asked_wait(answer.headers.get("retry-after", "")))
                if answer.status not in RETRIED or not attempts_left or pause > LONGEST_WAIT_SECONDS:
                    return answer
            time.sleep(pause)
            attempts_left -= 1
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _send_once(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str], token: str | None) -> Answer:
        sent = dict(headers)
        if token:
            if not is_private(self.url):
                raise WrongUse(f"A token is not sent to {self.url.netloc} without encryption: use https://")
            sent["Authorization"] = f"Bearer {token}"
        if self.connection is None:
            self.connection = connect(self.url)
        try:
            self.connection.request(method, target, data, sent)
            return read(self.connection.getresponse())
        except BaseException:
            # Also when somebody presses ctrl-C: what comes next cannot be asked on a connection that still owes an answer.
            self.close()
            raise


def retries() -> int:
    text = os.environ.get("ORDERS_RETRIES") or str(RETRIES)
    if not text.isdecimal():
        raise WrongUse(f"ORDERS_RETRIES must be a number, not {text!r}")
    return int(text)


def request_id(answer: Answer) -> str | None:
    """API Gateway's, by which the logs and the history of an order find the request; or that of a proxy."""
    return answer.headers.get("apigw-requestid") or answer.headers.get("x-request-id")


def _is_cursor(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.isascii())


def asked_wait(retry_after: str) -> float:
    """Seconds; 0 if the header says nothing that can be understood."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
