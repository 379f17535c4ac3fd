"""Whether an order's history explains what its clients were told: a check of linearizability.

An order's events are its versions, in the order in which they were committed. Each answer has to fit at least one version that
the order can have had while the request was under way: not before what had been answered when the request began, and not after
what began when it had been answered. So the search for an order of operations, which is what makes this check expensive
elsewhere, is not needed.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from drill.journal import Attempt, Operation

ACTIONS = {"pay_order": "paid", "ship_order": "shipped", "deliver_order": "delivered", "cancel_order": "cancelled"}
LEGAL = {"paid": {"pending"}, "shipped": {"paid"}, "delivered": {"shipped"}, "cancelled": {"pending", "paid"}}


@dataclass
class Version:
    """An order after an event. items: (sku, quantity, price) by id. reason: what the event says beside its changes."""

    status: str
    total: int
    items: dict[int, tuple[str, int, int]]
    metadata: dict[str, str]
    reference: str | None
    reason: str | None = None
    request_id: str | None = None
    etags: set[str] = field(default_factory=set)

    def shows(self, document: dict[str, Any]) -> bool:
        shown = Version(
            document["status"], document["total_cents"], items_of(document), document["metadata"], document["reference"]
        )
        return replace(shown, reason=self.reason, request_id=self.request_id, etags=self.etags) == self


def items_of(document: dict[str, Any]) -> dict[int, tuple[str, int, int]]:
    return {item["id"]: content(item) for item in document["items"]}


def content(item: dict[str, Any]) -> tuple[str, int, int]:
    return item["sku"], item["quantity"], item["unit_price_cents"]


def replay(created: dict[str, Any], events: list[list[Any]]) -> tuple[list[Version], list[str]]:
    """The versions of an order, and what in its events does not follow from the one before.

    created: the answer to its creation. events: type, request_id, changes, in their order.
    """
    versions: list[Version] = []
    wrong = []
    if not events or events[0][0] != "order.created" or [event[0] for event in events].count("order.created") != 1:
        return [], ["its history does not begin with one creation"]
    total, items = created["total_cents"], items_of(created)
    versions.append(Version("pending", total, items, created["metadata"], created["reference"], request_id=events[0][1]))
    if events[0][2]["total_cents"][1] != created["total_cents"]:
        wrong.append(f"was created with {created['total_cents']} cents, says its history otherwise: {events[0][2]}")
    for event_type, request_id, changes in events[1:]:
        before = versions[-1]
        after, doubts = follow(before, changes)
        after.request_id = request_id
        wrong += [f"{text} ({event_type}: {changes})" for text in doubts]
        versions.append(after)
    return versions, wrong


def follow(before: Version, changes: dict[str, Any]) -> tuple[Version, list[str]]:
    """The version after these changes, and what in them does not fit the one before. Of each the value before and after."""
    after = Version(before.status, before.total, dict(before.items), before.metadata, before.reference, changes.get("reason"))
    wrong = []
    if "status" in changes:
        after.status = changes["status"][1]
        if changes["status"][0] != before.status or before.status not in LEGAL.get(after.status, set()):
            wrong.append(f"became {after.status} while it was {before.status}")
    if "item" in changes:
        wrong += follow_item(before, after, *changes["item"])
    if "total_cents" in changes:
        after.total = changes["total_cents"][1]
        if changes["total_cents"][0] != before.total:
            wrong.append(f"its total was {before.total} before")
    if "metadata" in changes:
        after.metadata = changes["metadata"][1]
        if changes["metadata"][0] != before.metadata or after.metadata == before.metadata:
            wrong.append(f"its metadata was {before.metadata} before")
    if after.total != sum(quantity * price for _, quantity, price in after.items.values()):
        wrong.append("its total is not the sum of its items")
    return after, wrong


def follow_item(before: Version, after: Version, former: Any, present: Any) -> list[str]:
    wrong = []
    if former and after.items.pop(former["id"], None) != content(former):
        wrong.append("its item was another one before")
    if present:
        after.items[present["id"]] = content(present)
    if before.status != "pending":
        wrong.append(f"its items changed while it was {before.status}")
    return wrong


def does(operation: Operation, before: Version, after: Version) -> bool:
    """Whether what became of the order is what was asked for."""
    name, body = operation.operation_id, operation.body or {}
    if name == "update_order":
        merged = {**before.metadata, **body["metadata"]}
        return after.metadata == {key: text for key, text in merged.items() if text is not None}
    if name == "update_order_item":
        return bool(after.items[operation.item_id or 0][1] == body["quantity"])
    if name == "add_order_item":
        return content(body) in (set(after.items.values()) - set(before.items.values()))
    if name == "remove_order_item":
        return operation.item_id in before.items.keys() - after.items.keys()
    return name not in ACTIONS or (after.status, after.reason) == (ACTIONS[name], body.get("reason"))


class History:
    """One order: its versions, and all that its clients asked of it."""

    def __init__(self, versions: list[Version], operations: list[Operation]) -> None:
        self.versions, self.operations = versions, operations
        place = {version.request_id: number for number, version in enumerate(versions)}
        # Of each version: when its request began, and when its effect had been told to somebody.
        self.begun = [float("-inf")] * len(versions)
        self.told = [float("inf")] * len(versions)
        self.place_of: dict[int, int] = {}
        for operation in operations:
            for attempt in operation.attempts:
                if attempt.request_id in place:
                    number = place[attempt.request_id]
                    self.place_of[id(attempt)] = number
                    self.begun[number] = attempt.begun
                    if operation.answer is not None and operation.succeeded:
                        self.told[number] = operation.answer.ended
                    if attempt.succeeded and attempt.etag:
                        versions[number].etags.add(attempt.etag)

    def complaints(self) -> list[str]:
        found = [
            text for operation in self.operations for attempt in operation.attempts for text in self._judge(operation, attempt)
        ]
        return found + self._lost_updates()

    def _window(self, attempt: Attempt) -> range:
        """The versions that the order can have had during the attempt."""
        first = max((number for number, told in enumerate(self.told) if told < attempt.begun), default=0)
        later = (number for number, begun in enumerate(self.begun) if begun > attempt.ended)
        return range(first, min(later, default=len(self.versions)))

    def _judge(self, operation: Operation, attempt: Attempt) -> list[str]:
        if not attempt.decided:
            return []
        window = self._window(attempt)
        own = self.place_of.get(id(attempt))
        if attempt.succeeded and own is not None:
            if own not in window:
                return [f"{operation}: happened out of its turn"]
            if not self.versions[own].shows(attempt.document):
                return [f"{operation}: was told what no version of the order is"]
            done = own == 0 or does(operation, self.versions[own - 1], self.versions[own])
            return [] if done else [f"{operation}: did not do what was asked"]
        explained = any(self._explains(operation, attempt, self.versions[number]) for number in window)
        if explained or self._replays(operation, attempt):
            return []
        return [f"{operation}: {attempt.status} is explained by no version that the order can have had"]

    def _replays(self, operation: Operation, attempt: Attempt) -> bool:
        """A key gives the first answer again, whatever has become of the order. Another body is refused."""
        if operation.key is None:
            return False
        if operation.expected is not None:
            return attempt.status == operation.expected
        return attempt.succeeded and any(
            operation.marker in {sku for sku, _, _ in version.items.values()} and version.shows(attempt.document)
            for version in self.versions
        )

    def _explains(self, operation: Operation, attempt: Attempt, version: Version) -> bool:
        name = operation.operation_id
        if attempt.status == 412:
            return operation.if_match is not None and operation.if_match not in version.etags
        if name in ("get_order", "update_order"):
            # Metadata that had to be changed would have made a version of its own.
            wanted = (operation.body or {}).get("metadata", {}).items()
            there = all(version.metadata.get(key) == value for key, value in wanted)
            return attempt.succeeded and there and version.shows(attempt.document)
        if name in ACTIONS:
            becomes = ACTIONS[name]
            if attempt.succeeded:
                return version.status == becomes and version.shows(attempt.document)
            return attempt.status == 409 and version.status != becomes and version.status not in LEGAL[becomes]
        if attempt.status == 409:
            return version.status != "pending" or (name == "remove_order_item" and len(version.items) == 1)
        return attempt.status == 404 and operation.item_id is not None and operation.item_id not in version.items

    def _lost_updates(self) -> list[str]:
        """Who says which version he changes changes that one."""
        wrong = []
        for operation in self.operations:
            for attempt in operation.attempts:
                number = self.place_of.get(id(attempt), 0)
                if operation.if_match is None or not number or not attempt.succeeded:
                    continue
                etags = self.versions[number - 1].etags
                if etags and operation.if_match not in etags:
                    wrong.append(f"{operation}: changed another version than the one it named")
        return wrong
