"""Receives webhooks of Standard Webhooks 1.0, and believes only those with a valid signature.

Written here because the standard's own library needs an HTTP client and more, for these few lines.
"""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

from orders_cli.errors import WrongUse

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"
MOST_BYTES = 1024 * 1024


class NotVerified(Exception):
    """Whoever sent this may not know the secret, or sent it too long ago."""


class Delivery(NamedTuple):
    id: str
    timestamp: int
    body: bytes

    @property
    def time(self) -> str:
        return datetime.fromtimestamp(self.timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def document(self) -> dict[str, Any]:
        try:
            body = json.loads(self.body)
        except ValueError:
            body = self.text
        return {"webhook_id": self.id, "webhook_timestamp": self.timestamp, "body": body}


def secret_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise WrongUse(f"A webhook's secret is {PREFIX} and base64")
    return key


def verified(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> Delivery:
    """headers: with names in small letters. Raises NotVerified."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        raise NotVerified(f"its time is missing or more than {TOLERANCE_SECONDS} seconds off")
    expected = hmac.digest(key, f"{identity}.{timestamp}.".encode() + body, "sha256")
    for signature in headers.get("webhook-signature", "").split():
        version, _, encoded = signature.partition(",")
        if version == "v1" and hmac.compare_digest(encoded.encode(), base64.b64encode(expected)):
            return Delivery(identity, int(timestamp), body)
    raise NotVerified("its signature does not fit the secret")


class Receiver(HTTPServer):
    timeout = 1

    def __init__(self, port: int, key: bytes) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.key = key
        self.deliveries: list[Delivery] = []
        self.refused: list[str] = []

    def handle_error(self, *_: Any) -> None:
        """A connection that breaks off has delivered nothing."""

    def take(self) -> list[Delivery]:
        taken, self.deliveries = self.deliveries, []
        return taken

    def take_refused(self) -> list[str]:
        taken, self.refused = self.refused, []
        return taken


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self._answer(413, "its length is missing or too large")
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            self.server.deliveries.append(verified(self.server.key, headers, body, time.time()))
        except NotVerified as reason:
            self._answer(401, str(reason))
        else:
            self._answer(204)

    def refuse_method(self) -> None:
        self._answer(405, f"it is a {self.command}, and deliveries are POSTs", Allow="POST")

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = refuse_method  # noqa: N815 - the library's names

    def _answer(self, status: int, refusal: str = "", **headers: str) -> None:
        if refusal:
            self.server.refused.append(refusal)
            headers |= {"Content-Length": "0"}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The command prints what matters."""
