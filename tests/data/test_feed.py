"""The feed of events misses none that commits late, and reads little however many events there are."""

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orders import database
from tests.api.test_events import feed
from tests.harness import Clients, Database, Service

INSERT = """
INSERT INTO events (customer_id, sequence, type, request_id, changes) VALUES (:customer, 1, 'customer.created', 'r', '{}')
RETURNING id
"""
WRITERS, EACH = 8, 15
MANY = """
INSERT INTO events (transaction_id, order_id, customer_id, sequence, type, request_id, changes)
SELECT
    -- Long over, so that the feed shows them.
    (3 + n / 100)::text::xid8, n,
    -- One customer has a third of them.
    CASE WHEN n % 3 = 0 THEN 1 ELSE n END, 1,
    CASE WHEN n % 10000 = 9 THEN 'order.cancelled' ELSE 'order.created' END, 'r', '{}'
FROM generate_series(1, 60000) AS n
"""


def walk(service: Service, cursor: str | None) -> tuple[list[int], str]:
    """Ids of the events after the cursor, and the next cursor."""
    page = service.http("GET", "/api/events/", query={"limit": 200, **({"cursor": cursor} if cursor else {})}).json
    return [event["id"] for event in page["results"]], page["next_cursor"]


def test_an_event_that_commits_late_is_not_missed(service: Service, db: Database) -> None:
    early, late = db.connect("orders_app"), db.connect("orders_app")
    early.run("BEGIN")
    [[first]] = early.run(INSERT, customer=1)
    [[second]] = late.run(INSERT, customer=2)
    # The second one is committed, but the first one, which comes before it, may still be.
    shown, cursor = walk(service, None)
    assert shown == []
    early.run("COMMIT")
    assert walk(service, cursor)[0] == [first, second]
    early.close()
    late.close()


def test_one_that_is_rolled_back_holds_nobody_up(service: Service, db: Database) -> None:
    early, late = db.connect("orders_app"), db.connect("orders_app")
    early.run("BEGIN")
    early.run(INSERT, customer=1)
    [[second]] = late.run(INSERT, customer=2)
    early.run("ROLLBACK")
    assert walk(service, None)[0] == [second]
    early.close()
    late.close()


def test_whoever_polls_while_many_write_gets_each_event_once(service: Service, db: Database, clients: Clients) -> None:
    """Transactions of very different length, so that they commit in another order than they began."""
    customers = [service.customer(f"{n}@example.com")["id"] for n in range(WRITERS)]
    requests: list[Any] = [
        (("POST", "/api/orders/", {"customer_id": customer, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]}), {})
        for _ in range(EACH)
        for customer in customers
    ]
    done = threading.Event()

    def hold() -> None:
        slow = db.connect("orders_app")
        for number in range(5):
            slow.run("BEGIN")
            slow.run(INSERT, customer=1_000 + number)
            slow.run("SELECT pg_sleep(0.1)")
            slow.run("COMMIT")
        slow.close()

    polled: list[int] = []
    cursor: str | None = None
    holder = threading.Thread(target=hold)
    holder.start()
    futures = [clients.submit(request) for request in requests]
    while not done.is_set():
        if not holder.is_alive() and all(future.done() for future in futures):
            done.set()
        ids, cursor = walk(service, cursor)
        polled += ids
    assert {future.result().status for future in futures} == {201}
    while ids:
        ids, cursor = walk(service, cursor)
        polled += ids
    stored = [number for [number] in db.sql("SELECT id FROM events ORDER BY transaction_id, id")]
    assert len(stored) == WRITERS * (EACH + 1) + 5
    assert polled == stored == [event["id"] for event in feed(service, limit=7)]


@pytest.fixture(scope="module")
def many(functions: Service, migrated: Database) -> Iterator[Database]:
    migrated.empty()
    migrated.sql(MANY)
    migrated.sql("ANALYZE events")
    yield migrated
    migrated.empty()


# With the number of events on the first page.
FILTERS: list[tuple[dict[str, Any], int]] = [
    ({}, 50),
    ({"type": "order.created"}, 50),
    ({"type": "order.cancelled"}, 6),
    ({"type": "customer.erased"}, 0),
    ({"customer_id": 1}, 50),
    ({"customer_id": 20_000}, 1),
    ({"customer_id": 1, "type": "order.cancelled"}, 2),
    ({"customer_id": 1, "type": "customer.erased"}, 0),
    ({"order_id": 30_000}, 1),
    ({"order_id": 30_000, "type": "order.paid"}, 0),
]


@pytest.mark.parametrize(("filters", "found"), FILTERS, ids=str)
@pytest.mark.parametrize("depth", [0, 150])
def test_a_page_of_the_feed_reads_little(
    functions: Service, many: Database, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any], found: int, depth: int
) -> None:
    read = 0
    run = database.run

    def counted(sql: str, **options: Any) -> Any:
        nonlocal read
        position = {"transaction_id": 3 + depth} if "transaction_id" in options else {}
        many.connection.run("SET plan_cache_mode = force_custom_plan")
        rows = many.connection.run(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", **_bound(options | position))
        many.connection.run("RESET plan_cache_mode")
        [plan] = rows[0][0] if isinstance(rows[0][0], list) else json.loads(rows[0][0])
        read += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        assert not re.search(r'"Seq Scan",[^{}]*"Relation Name": "events"', json.dumps(plan))
        return run(sql, **options)

    monkeypatch.setattr(database, "run", counted)
    assert len(functions.http("GET", "/api/events/", query={"limit": 50, **filters}).json["results"]) == found
    # A page of 51 rows, each possibly on a page of its own, and the way down to them for each type.
    assert 0 < read <= 51 * 2 + 13 * 4


def _bound(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "repeatable"}
