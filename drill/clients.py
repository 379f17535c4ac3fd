"""The load: clients over HTTP that want things, try again until they are told, and keep a journal of it.

What a client may want is a method of Client under its weight in WANTS; erasure, exports and webhooks would be further ones.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from drill.journal import Attempt, Journal, Operation

REQUEST_SECONDS = 20
HOT_ORDERS = 4
ACTIONS = {"pay": "paid", "ship": "shipped", "deliver": "delivered", "cancel": "cancelled"}


@dataclass
class World:
    """What the clients share: a few customers, and a few orders that they all change at once."""

    url: str
    journal: Journal
    over: threading.Event = field(default_factory=threading.Event)
    ends_at: float = float("inf")
    customers: list[int] = field(default_factory=list)
    hot: list[dict[str, Any]] = field(default_factory=list)
    seed: dict[str, int] = field(default_factory=dict)

    def end(self, patience: float) -> None:
        """patience: for how many seconds clients go on asking for what they were not told."""
        self.ends_at = time.monotonic() + patience
        self.over.set()


class Client(threading.Thread):
    def __init__(self, world: World, name: str, seed: str, wants: dict[str, int]) -> None:
        super().__init__(name=name, daemon=True)
        self.world, self.wants = world, wants
        self.chance = random.Random(f"{seed} {name}")
        self.http = httpx.Client(base_url=world.url, timeout=REQUEST_SECONDS)
        self.count = 0

    def run(self) -> None:
        names, weights = list(self.wants), list(self.wants.values())
        while not self.world.over.is_set():
            want: Callable[[], None] = getattr(self, self.chance.choices(names, weights)[0])
            want()
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
            with suppress(ValueError):
                attempt.document = answer.json()
            attempt.status = answer.status_code
        attempt.ended = time.monotonic()

    def marker(self) -> str:
        self.count += 1
        return f"{self.name}-{self.count}"

    def item(self, marker: str) -> dict[str, Any]:
        return {"sku": marker, "quantity": self.chance.randint(1, 9), "unit_price_cents": self.chance.randint(1, 5000)}

    # What a client may want.

    def create_order(self) -> None:
        order = self._create_order(key=True)
        if order.answer is not None and order.succeeded:
            hot = self.world.hot
            if len(hot) < HOT_ORDERS:
                hot.append(dict(order.answer.document))
            else:
                hot[self.chance.randrange(len(hot))] = dict(order.answer.document)

    def create_order_without_key(self) -> None:
        self._create_order(key=False)

    def _create_order(self, key: bool) -> Operation:
        marker = self.marker()
        items = [self.item(marker), *(self.item(f"{marker}-{n}") for n in range(self.chance.randint(0, 3)))]
        body = {"customer_id": self.chance.choice(self.world.customers), "items": items}
        return self.perform(
            "create_order", "POST", "/api/orders/", body=body, key=f"key-{marker}" if key else None, marker=marker
        )

    def create_customer(self) -> None:
        marker = self.marker()
        body = {"email": f"{marker}@drill.example.com", "name": marker}
        created = self.perform("create_customer", "POST", "/api/customers/", body=body, key=f"key-{marker}", marker=marker)
        if created.answer is not None and created.succeeded and self.chance.random() < 0.3:
            number = created.answer.document["id"]
            self.perform("delete_customer", "DELETE", f"/api/customers/{number}/", marker=marker)

    def repeat(self) -> None:
        """What was asked before, under the same key, and sometimes with another body."""
        known = [made for made in self.world.journal.of("create_order", "add_order_item")[-200:] if made.key and made.succeeded]
        if not known:
            return
        former = self.chance.choice(known)
        body, expected = dict(former.body or {}), None
        if self.chance.random() < 0.3:
            body, expected = {**body, **({"quantity": 77} if "quantity" in body else {"customer_id": 1_000_000})}, 422
        self.perform(
            former.operation_id,
            "POST",
            former.path,
            body=body,
            key=former.key,
            order_id=former.order_id,
            marker=former.marker,
            expected=expected,
        )

    def twice(self) -> None:
        """The same order at the same moment, under the same key."""
        marker = self.marker()
        body = {"customer_id": self.chance.choice(self.world.customers), "items": [self.item(marker)]}
        other = Client(self.world, f"{self.name}b", marker, {})

        def want(client: Client) -> None:
            client.perform("create_order", "POST", "/api/orders/", body=body, key=f"key-{marker}", marker=marker)

        thread = threading.Thread(target=want, args=(other,))
        thread.start()
        want(self)
        thread.join()
        other.http.close()

    def add_item(self) -> None:
        if order := self._hot():
            marker = self.marker()
            self._change(order, "add_order_item", "POST", "items/", body=self.item(marker), key=f"key-{marker}", marker=marker)

    def change_item(self) -> None:
        if (order := self._hot()) and order["items"]:
            number = self.chance.choice(order["items"])["id"]
            body = {"quantity": self.chance.randint(1, 9)}
            self._change(order, "update_order_item", "PATCH", f"items/{number}/", body=body, item_id=number)

    def remove_item(self) -> None:
        # The first one carries the marker by which the checker knows the order.
        if (order := self._hot()) and (items := order["items"][1:]):
            number = self.chance.choice(items)["id"]
            self._change(order, "remove_order_item", "DELETE", f"items/{number}/", item_id=number)

    def advance(self) -> None:
        if order := self._hot():
            allowed = order["allowed_actions"] if self.chance.random() < 0.7 else list(ACTIONS)
            if allowed:
                action = self.chance.choice(allowed)
                self._change(order, f"{action}_order", "POST", f"{action}/")

    def read_order(self) -> None:
        if order := self._hot():
            self._change(order, "get_order", "GET", "")

    def read_lists(self) -> None:
        operation_id, path = self.chance.choice(
            [("list_orders", "/api/orders/?limit=20"), ("summarize_orders", "/api/orders/summary/?limit=20")]
        )
        self.perform(operation_id, "GET", path)

    def seed(self) -> None:
        marker = self.marker()
        run = self.perform("start_seed", "POST", "/api/dev/seed/", body=self.world.seed, key=f"key-{marker}", marker=marker)
        if run.answer is None or not run.succeeded:
            return
        path = f"/api/dev/seed/{run.answer.document['id']}/"
        cancelled = self.count % 2 == 0
        while not self.world.over.is_set():
            document = self.perform("get_seed_run", "GET", path).attempts[-1].document or {}
            if cancelled and document.get("chunks_done"):
                self.perform("cancel_seed_run", "POST", f"{path}cancel/")
                cancelled = False
            if document.get("finished_at"):
                return
            self.world.over.wait(1)

    def _hot(self) -> dict[str, Any] | None:
        return self.chance.choice(self.world.hot) if self.world.hot else None

    def _change(self, order: dict[str, Any], operation_id: str, method: str, path: str, **details: Any) -> None:
        """Sometimes only of the version that this client, or another, has seen."""
        if method != "GET" and "etag" in order and self.chance.random() < 0.3:
            details["if_match"] = order["etag"]
        changed = self.perform(operation_id, method, f"/api/orders/{order['id']}/{path}", order_id=order["id"], **details)
        if changed.answer is not None and changed.succeeded:
            order |= changed.answer.document
            if changed.answer.etag:
                order["etag"] = changed.answer.etag
        if not order["allowed_actions"] and order in self.world.hot and self.chance.random() < 0.3:
            self.create_order()


# How often a client of the kind wants what, in relation to the others.
WANTS = {
    "create_order": 4,
    "create_order_without_key": 3,
    "create_customer": 2,
    "repeat": 2,
    "twice": 1,
    "add_item": 6,
    "change_item": 4,
    "remove_item": 3,
    "advance": 3,
    "read_order": 4,
    "read_lists": 1,
}
SEEDER = {"seed": 1}
