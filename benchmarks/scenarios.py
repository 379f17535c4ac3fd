"""What is asked, in the order in which it is asked: reads first, so that they find the data as it was seeded."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.data import Data
from benchmarks.events import Call, cancel_order, create_order, get_order, list_orders, summarize_orders


@dataclass(frozen=True)
class Scenario:
    """call: the next request. writes: each implementation gets a request of its own instead of the same one."""

    name: str
    title: str
    call: Callable[[], Call]
    writes: bool = False


def scenarios(data: Data) -> list[Scenario]:
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
        Scenario("get", "get", lambda: get_order(chance.randint(*data.orders))),
        Scenario("summary", "summary", summarize_orders),
        Scenario("create", "create, 3 items", lambda: create_order(chance.randint(*data.customers)), writes=True),
        Scenario("cancel", "cancel", lambda: cancel_order(next(data.cancellable)), writes=True),
    ]
