"""Somebody who is told by webhooks: well, slow, down or lying. He verifies whatever comes, and writes down what he got."""

import json
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

# What may become of a delivery, by the receiver's mood.
MOODS: dict[str, tuple[str, ...]] = {
    "well": ("well",),
    "slow": ("late", "late", "too late"),
    "lying": ("dropped", "failed afterwards", "redirected", "huge", "cut short", "cut off", "asked for patience", "well"),
}
LATE_SECONDS, TOO_LATE_SECONDS = (0.5, 3.0), 11.0
# What is composed is read a moment before it is signed.
SLACK_SECONDS = 5
HUGE_BYTES = 8 * 1024 * 1024
# Where nothing may ever arrive.
ELSEWHERE = "/elsewhere"


@dataclass
class Hook:
    """A webhook as its receiver knows it. types: what he wants, or *. since: when its creation was acknowledged, by the clock.

    secrets: all that he has been given. unsure: while a secret that he does not know may be in use, and so may be what
    was signed before sure_since. got: by the ids of deliveries, each body with the time at which it was signed, or
    last was. worked: for which he has done his work. dropped: for which he has thanked, and forgotten them. tests:
    which he was promised. wrong: what did not verify.
    """

    path: str
    types: tuple[str, ...]
    number: int = 0
    begun: float = 0
    since: float = float("inf")
    secrets: list[str] = field(default_factory=list)
    unsure: bool = True
    sure_since: float = 0
    got: dict[str, dict[str, int]] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    tests: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def know(self, secret: str) -> None:
        """It is the one in use from now on. What is being signed just now may have another one."""
        self.secrets.append(secret)
        self.sure_since = time.time() + SLACK_SECONDS
        self.unsure = False

    def copy(self) -> "Hook":
        """As it is now: more may arrive while somebody reads it."""
        got = {identifier: dict(bodies) for identifier, bodies in list(self.got.items())}
        return replace(self, got=got, worked=set(self.worked), tests=set(self.tests), wrong=list(self.wrong))

    def wants(self, event_type: str) -> bool:
        return "*" in self.types or event_type in self.types

    def verifies(self, headers: dict[str, str], body: bytes) -> bool:
        unsure = self.unsure or int(headers["webhook-timestamp"]) < self.sure_since
        for secret in reversed(self.secrets):
            with suppress(WebhookVerificationError):
                Webhook(secret).verify(body, headers)
                return True
        if not unsure:
            self.wrong.append(f"{self}: the signature of {headers.get('webhook-id')} does not verify")
        return False

    def __str__(self) -> str:
        return f"webhook {self.number} of {', '.join(self.types)}"


class Receiver:
    """He keeps his port, also while he is down."""

    def __init__(self) -> None:
        self.mood = "well"
        self.chance = random.Random(1)
        self.hooks: dict[str, Hook] = {}
        self.fates: Counter[str] = Counter()
        self.strays: list[str] = []
        self.port = 0
        self.server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        handler = type("Handler", (Answering,), {"receiver": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def add(self, path: str, types: tuple[str, ...]) -> Hook:
        self.hooks[path] = Hook(path, types, begun=time.time())
        return self.hooks[path]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> str:
        """What becomes of a delivery."""
        hook = self.hooks.get(path)
        if hook is None:
            self.strays.append(f"something was sent to {path}")
            return "failed"
        if not hook.verifies(headers, body):
            return "failed"
        identifier = headers["webhook-id"]
        hook.got.setdefault(identifier, {})[body.decode()] = int(headers["webhook-timestamp"])
        fate = self.chance.choice(MOODS[self.mood])
        self.fates[fate] += 1
        if fate == "dropped":
            hook.dropped.add(identifier)
        elif fate not in ("too late", "redirected", "cut off", "asked for patience"):
            hook.worked.add(identifier)
        return fate


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100

    def handle_error(self, *_: Any) -> None:
        """A sender that breaks off is no error of the receiver's."""


class Answering(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fate = self.receiver.take(self.path, headers, body)
        if fate == "cut off":
            return
        if fate in ("late", "too late"):
            seconds = random.uniform(*LATE_SECONDS) if fate == "late" else TOO_LATE_SECONDS
            time.sleep(seconds)
        statuses = {"failed": 500, "failed afterwards": 500, "redirected": 307, "asked for patience": 503}
        self.send_response(statuses.get(fate, 200))
        if fate == "redirected":
            self.send_header("location", f"http://127.0.0.1:{self.receiver.port}{ELSEWHERE}")
        if fate == "asked for patience":
            self.send_header("retry-after", "3")
        answer = b"x" * HUGE_BYTES if fate == "huge" else json.dumps({"fate": fate}).encode()
        self.send_header("content-length", str(len(answer) * (2 if fate == "cut short" else 1)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self) -> None:
        self.receiver.strays.append(f"somebody asked for {self.path}")
        self.send_error(405)

    def log_message(self, *_: Any) -> None:
        """What he got is written down elsewhere."""
