"""The load: clients over HTTP that want things, try again until they are told, and keep a journal of it."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from drill.journal import Attempt, Journal, Operation
from drill.parts import WANTED

if TYPE_CHECKING:
    from drill.exports import Exported

REQUEST_SECONDS = 20
# By whoever reads an answer that is not what was asked for.
MISUNDERSTOOD = (LookupError, TypeError, ValueError, AttributeError, AssertionError)


@dataclass
class World:
    """What the clients share.

    customers: whose orders are made. hot: a few orders that they all change at once. people: who will be erased, by id.
    feed: the events, as somebody has read them so far, and feed_path where to go on. webhooks: how many there shall be.
    think: for how many seconds a client waits before the next thing that it wants.
    """

    url: str
    journal: Journal
    over: threading.Event = field(default_factory=threading.Event)
    ends_at: float = float("inf")
    customers: list[int] = field(default_factory=list)
    hot: list[dict[str, Any]] = field(default_factory=list)
    people: dict[int, str] = field(default_factory=dict)
    feed: list[dict[str, Any]] = field(default_factory=list)
    feed_path: str = "/api/events/?limit=37"
    seed: dict[str, int] = field(default_factory=dict)
    webhooks: int = 0
    think: float = 0
    exports: list["Exported"] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    @contextmanager
    def noticing(self, who: str) -> Iterator[None]:
        """A client that dies of an answer is a finding, and not a client less."""
        try:
            yield
        except MISUNDERSTOOD as error:
            self.surprises.append(f"{who}: {error!r}")

    def end(self, patience: float) -> None:
        """patience: for how many seconds clients go on asking for what they were not told."""
        self.ends_at = time.monotonic() + patience
        self.over.set()


class Client(threading.Thread):
    """wants: how often which of WANTED, in relation to the others."""

    def __init__(self, world: World, name: str, seed: str, wants: dict[str, int]) -> None:
        super().__init__(name=name, daemon=True)
        self.world, self.wants = world, wants
        self.chance = random.Random(f"{seed} {name}")
        self.http = httpx.Client(base_url=world.url, timeout=REQUEST_SECONDS)
        self.count = 0

    def run(self) -> None:
        names, weights = list(self.wants), list(self.wants.values())
        while not self.world.over.is_set():
            wanted = self.chance.choices(names, weights)[0]
            with self.world.noticing(f"{self.name} ({wanted})"):
                WANTED[wanted](self)
            self.world.over.wait(self.world.think)
        self.http.close()

    def perform(self, operation_id: str, method: str, path: str, **details: Any) -> Operation:
        """Asks until the answer is a decision, or once where asking again could do it twice."""
        operation = Operation(self.name, operation_id, method, path, **details)
        self.world.journal.add(operation)
        while True:
            self.ask(operation)
            if operation.answer is not None or not operation.repeatable or time.monotonic() > self.world.ends_at:
                return operation
            time.sleep(self.chance.uniform(0.05, 0.3))

    def ask(self, operation: Operation) -> None:
        headers = {"Idempotency-Key": operation.key, "If-Match": operation.if_match}
        attempt = Attempt(time.monotonic())
        operation.attempts.append(attempt)
        with suppress(httpx.HTTPError):
            answer = self.http.request(
                operation.method,
                operation.path,
                json=operation.body,
                headers={name: value for name, value in headers.items() if value is not None},
            )
            attempt.request_id = answer.headers.get("apigw-requestid")
            attempt.etag = answer.headers.get("etag")
            attempt.replayed = "idempotency-replayed" in answer.headers
            with suppress(ValueError):
                attempt.document = answer.json()
            attempt.status = answer.status_code
        attempt.ended = time.monotonic()

    def marker(self) -> str:
        self.count += 1
        return f"{self.name}-{self.count}"

    def item(self, marker: str) -> dict[str, Any]:
        return {"sku": marker, "quantity": self.chance.randint(1, 9), "unit_price_cents": self.chance.randint(1, 5000)}
