"""What clients did and were told, written down by themselves: all that the checker knows of the load."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

# What may be asked again: the answer does not say what happened.
UNDECIDED = frozenset({429, 500, 503})


@dataclass
class Attempt:
    """One request. status: None if no answer came. Times are of the monotonic clock, in seconds."""

    begun: float
    ended: float = float("inf")
    status: int | None = None
    request_id: str | None = None
    etag: str | None = None
    document: Any = None
    replayed: bool = False

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def decided(self) -> bool:
        return self.status is not None and self.status not in UNDECIDED


@dataclass
class Operation:
    """Something that a client wants, and its attempts. operation_id: as openapi.json calls it.

    order_id: of the order whose history it belongs to, if it does. about: of whatever else it is about. marker: unique text
    that it writes, by which the checker finds what it made. expected: the only status that may decide it.
    """

    client: str
    operation_id: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    key: str | None = None
    if_match: str | None = None
    order_id: int | None = None
    item_id: int | None = None
    about: int | None = None
    marker: str | None = None
    expected: int | None = None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def answer(self) -> Attempt | None:
        """The one that decided it."""
        return self.attempts[-1] if self.attempts and self.attempts[-1].decided else None

    @property
    def succeeded(self) -> bool:
        return self.answer is not None and self.answer.succeeded

    @property
    def repeatable(self) -> bool:
        """A client that has no key does not create a second time."""
        return self.method != "POST" or self.key is not None or self.operation_id in REPEATABLE

    def __str__(self) -> str:
        return f"{self.method} {self.path} of {self.client} ({self.marker or self.key or 'no marker'})"


# Without a key: the second time they find that it has happened.
REPEATABLE = frozenset({"pay_order", "ship_order", "deliver_order", "cancel_order", "erase_customer", "cancel_seed_run"})


class Journal:
    """All operations of all clients, in the order in which they began."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.operations: list[Operation] = []
        self.begun = time.monotonic()

    def add(self, operation: Operation) -> None:
        with self.lock:
            self.operations.append(operation)

    def of(self, *operation_ids: str) -> list[Operation]:
        with self.lock:
            return [operation for operation in self.operations if operation.operation_id in operation_ids]

    def attempts(self) -> list[tuple[Operation, Attempt]]:
        with self.lock:
            return [(operation, attempt) for operation in self.operations for attempt in operation.attempts]
