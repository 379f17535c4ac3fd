"""The requests, in order: reads first, so that they find the data as it was seeded."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.data import Data
from benchmarks.events import Call, cancel_order, create_order, get_order, list_orders, summarize_orders
from benchmarks.workers import OURS, Implementation


@dataclass(frozen=True)
class Deep:
    """Where a page far down begins: our cursor, which only our lists can issue, and the id in it."""

    cursor: str
    order_id: int

    @property
    def peers_cursor(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.order_id]).encode()).rstrip(b"=").decode()

    @classmethod
    def walk(cls, orders: int, ask: Callable[[Call], dict[str, Any]]) -> "Deep":
        """Follows the list for this many orders."""
        document = json.loads(ask(list_orders(limit=200))["body"])
        while True:
            orders -= len(document["results"])
            [cursor] = parse_qs(urlsplit(document["next"]).query)["cursor"]
            if orders <= 0:
                return cls(cursor, document["results"][-1]["id"])
            document = json.loads(ask(list_orders(limit=200, cursor=cursor))["body"])


@dataclass(frozen=True)
class Scenario:
    """call: our next request. peers_call: theirs, if it differs, since each implementation has its own cursors."""

    name: str
    title: str
    call: Callable[[], Call]
    peers_call: Callable[[], Call] | None = None
    writes: bool = False

    def calls(self, implementations: list[Implementation]) -> Iterator[tuple[Implementation, Call]]:
        """One request for each implementation: the same one if it reads, a different one if it writes."""
        ours = self.call()
        theirs = self.peers_call() if self.peers_call else ours
        for each in implementations:
            yield each, self.call() if self.writes else ours if each is OURS else theirs


def scenarios(data: Data, deep: Deep) -> list[Scenario]:
    chance = random.Random(7)
    lists = [
        ("list", "list 50", {}),
        ("status_common", "list, common status", {"status": data.common_status}),
        ("status_rare", "list, rare status", {"status": data.rare_status}),
        ("status_absent", "list, absent status", {"status": data.absent_status}),
        ("email_address", "list, e-mail: whole address", {"email": data.address}),
        ("email_local", "list, e-mail: local part and @", {"email": data.address.partition("@")[0] + "@"}),
        ("email_domain", "list, e-mail: common domain", {"email": "example.com"}),
        ("email_rare_domain", "list, e-mail: rare domain", {"email": data.rare_domain}),
        ("email_name", "list, e-mail: common name", {"email": "alice"}),
        ("email_letters", "list, e-mail: three common letters", {"email": "com"}),
        ("email_absent", "list, e-mail: absent", {"email": "nobody-is-called-this"}),
    ]
    return [
        *(Scenario(name, title, lambda query=query: list_orders(**query)) for name, title, query in lists),  # type: ignore[misc]
        Scenario(
            "deep", "list, deep page", lambda: list_orders(cursor=deep.cursor), lambda: list_orders(cursor=deep.peers_cursor)
        ),
        Scenario("get", "get", lambda: get_order(chance.randint(*data.orders))),
        Scenario("summary", "summary", summarize_orders),
        Scenario("create", "create, 3 items", lambda: create_order(chance.randint(*data.customers)), writes=True),
        Scenario("cancel", "cancel", lambda: cancel_order(next(data.cancellable)), writes=True),
    ]
