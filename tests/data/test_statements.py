"""What each endpoint costs the database: statements per request, and plans that do not read whole tables."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from orders import database
from orders.connection import parse
from tests.harness import Answer, Database, Service

CALLS = """
SELECT coalesce(sum(calls), 0)::integer
FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid
WHERE rolname IN ('orders_app', 'orders_seeder') AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# Calls of the functions of current/documents.sql in a plan, and what builds a document in a statement.
CALLED = re.compile(r"\b(?:\w+_(?:json|etag)|allowed_actions)\((?<!to_json\()")
MAKES_DOCUMENT = re.compile(r"\w+_json\(|\bdocument\b")
ITEM = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
Call = Callable[[Service, dict[str, Any]], Answer]

# One statement if the request succeeds; a second one looks up why it was refused.
REQUESTS: dict[str, tuple[int, Call]] = {
    "health": (1, lambda s, o: s.http("GET", "/api/health/")),
    "list orders": (1, lambda s, o: s.http("GET", "/api/orders/")),
    "list orders by both filters": (1, lambda s, o: s.http("GET", "/api/orders/", query={"status": "paid", "email": "alice"})),
    "find an order by its reference": (1, lambda s, o: s.http("GET", "/api/orders/", query={"reference": "PO-1"})),
    "get an order": (1, lambda s, o: s.http("GET", f"/api/orders/{o['id']}/")),
    "summary": (1, lambda s, o: s.http("GET", "/api/orders/summary/")),
    "history": (1, lambda s, o: s.http("GET", f"/api/orders/{o['id']}/events/")),
    "mails": (1, lambda s, o: s.http("GET", f"/api/orders/{o['id']}/mails/")),
    "deliveries": (1, lambda s, o: s.http("GET", f"/api/orders/{o['id']}/webhook-deliveries/")),
    "create an order": (
        1,
        lambda s, o: s.http("POST", "/api/orders/", {"customer_id": o["customer"]["id"], "items": [ITEM] * 100}),
    ),
    "create an order under a key": (
        1,
        lambda s, o: s.http(
            "POST", "/api/orders/", {"customer_id": o["customer"]["id"], "items": [ITEM]}, headers={"Idempotency-Key": "k"}
        ),
    ),
    "cancel": (1, lambda s, o: s.act(o["id"], "cancel")),
    "cancel with a condition": (1, lambda s, o: s.act(o["id"], "cancel", headers={"If-Match": "*"})),
    "pay": (1, lambda s, o: s.act(o["id"], "pay")),
    "an illegal transition": (2, lambda s, o: s.act(o["id"], "deliver")),
    "change an order": (1, lambda s, o: s.http("PATCH", f"/api/orders/{o['id']}/", {"metadata": {"a": "b"}})),
    "change an order to what it is": (2, lambda s, o: s.http("PATCH", f"/api/orders/{o['id']}/", {"metadata": {}})),
    "add an item": (1, lambda s, o: s.http("POST", f"/api/orders/{o['id']}/items/", ITEM)),
    "change an item": (1, lambda s, o: s.http("PATCH", f"/api/orders/{o['id']}/items/{o['items'][0]['id']}/", {"quantity": 9})),
    "remove an item": (1, lambda s, o: s.http("DELETE", f"/api/orders/{o['id']}/items/{o['items'][0]['id']}/")),
    "list customers": (1, lambda s, o: s.http("GET", "/api/customers/")),
    "get a customer": (1, lambda s, o: s.http("GET", f"/api/customers/{o['customer']['id']}/")),
    "create a customer": (1, lambda s, o: s.http("POST", "/api/customers/", {"email": "n@b.de", "name": "N"})),
    "change a customer": (1, lambda s, o: s.http("PATCH", f"/api/customers/{o['customer']['id']}/", {"name": "N"})),
    "start a seed run": (1, lambda s, o: s.http("POST", "/api/dev/seed/", {})),
    "start a seed run under a key": (1, lambda s, o: s.http("POST", "/api/dev/seed/", {}, headers={"Idempotency-Key": "k"})),
    "start an export": (1, lambda s, o: s.http("POST", "/api/exports/", {"kind": "orders", "format": "csv"})),
    "list exports": (1, lambda s, o: s.http("GET", "/api/exports/")),
    "get an export": (1, lambda s, o: s.http("GET", f"/api/exports/{UUID(int=0)}/")),
    "remove an export": (1, lambda s, o: s.http("DELETE", f"/api/exports/{UUID(int=0)}/")),
    "cancel a seed run": (2, lambda s, o: s.http("POST", f"/api/dev/seed/{UUID(int=0)}/cancel/")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_statements_per_request(service: Service, db: Database, name: str) -> None:
    statements, request = REQUESTS[name]
    order = service.order(service.customer()["id"], (1, 1), (2, 2))
    db.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    db.sql("SELECT pg_stat_statements_reset()")
    assert request(service, order).status < 500
    assert db.value(CALLS) == statements


@pytest.mark.parametrize("name", REQUESTS)
def test_a_document_is_built_in_the_plan(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """PostgreSQL inlines the functions that build documents, so that none is called per row."""
    order = service.order(service.customer()["id"], (1, 1), (2, 2))
    statements: list[str] = []
    run = database.run

    def listening(sql: str, **options: Any) -> Any:
        statements.append(sql)
        return run(sql, **options)

    monkeypatch.setattr(database, "run", listening)
    assert REQUESTS[name][1](service, order).status < 500
    assert statements
    for sql in statements:
        plan = "\n".join(row[0] for row in _generic_plan(db, sql, "EXPLAIN (VERBOSE)"))
        assert not CALLED.search(plan), plan
        assert ("to_json(ROW(" in plan) == bool(MAKES_DOCUMENT.search(sql)), plan


@pytest.fixture(scope="module")
def seeded(functions: Service, migrated: Database) -> Iterator[Database]:
    """55,000 rows, so that reading a whole table is clearly not the cheapest way."""
    migrated.empty()
    functions.seed(customers=5_000, orders_per_customer=5, items_per_order=1)
    migrated.sql(
        "INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)"
        " SELECT id, customer_id, 1, 'order.paid', 'r', '{}' FROM orders"
    )
    migrated.sql("UPDATE orders SET reference = 'PO-' || id WHERE id % 2 = 1")
    migrated.sql("ANALYZE")
    yield migrated
    migrated.empty()


READS = [
    ("/api/orders/", {}),
    ("/api/orders/", {"status": "paid"}),
    ("/api/orders/", {"customer_id": 77}),
    ("/api/orders/", {"reference": "PO-77"}),
    ("/api/orders/", {"reference": "PO-77", "status": "paid", "customer_id": 77}),
    ("/api/orders/", {"reference": "PO-77", "email": "alice"}),
    ("/api/orders/", {"email": "alice"}),
    ("/api/orders/", {"email": "alice.nguyen.1@"}),
    ("/api/orders/", {"email": "nobody-has-this"}),
    ("/api/orders/", {"email": "alice", "status": "paid"}),
    ("/api/orders/", {"email": "alice.nguyen.1@", "status": "paid"}),
    ("/api/orders/", {"email": "alice.nguyen.1@", "status": "paid", "customer_id": 5}),
    ("/api/orders/5/", {}),
    ("/api/orders/5/events/", {}),
    ("/api/orders/5/mails/", {}),
    ("/api/orders/5/webhook-deliveries/", {}),
    ("/api/events/", {}),
    ("/api/events/", {"type": "order.paid"}),
    ("/api/events/", {"order_id": 5}),
    ("/api/events/", {"customer_id": 5}),
    ("/api/events/", {"type": "order.paid", "customer_id": 5}),
    ("/api/orders/summary/", {}),
    ("/api/customers/", {}),
    ("/api/customers/", {"email": "alice"}),
    ("/api/customers/", {"email": "alice.nguyen.1@"}),
    ("/api/customers/5/", {}),
]


@pytest.mark.parametrize(("path", "query"), READS, ids=str)
def test_no_read_scans_a_whole_table(
    functions: Service, seeded: Database, monkeypatch: pytest.MonkeyPatch, path: str, query: dict[str, Any]
) -> None:
    plans = []
    run = database.run

    def explained(sql: str, **options: Any) -> Any:
        # A prepared statement gets a generic plan sooner or later.
        plans.append(_generic_plan(seeded, sql))
        return run(sql, **options)

    monkeypatch.setattr(database, "run", explained)
    assert functions.http("GET", path, query=query).status in (200, 404)
    text = "\n".join(row[0] for plan in plans for row in plan)
    assert plans
    for table in ("customers", "orders", "order_items", "customer_totals", "events"):
        assert f"Seq Scan on {table}" not in text, text


def _generic_plan(database_: Database, sql: str, explain: str = "EXPLAIN") -> list[list[Any]]:
    """Like EXPLAIN (GENERIC_PLAN), which servers before PostgreSQL 16 lack."""
    numbered = parse(sql)[1].decode()
    values = ", ".join(["NULL"] * max((int(number) for number in re.findall(r"\$(\d+)", numbered)), default=0))
    database_.sql(f"SET plan_cache_mode = force_generic_plan; PREPARE explained AS {numbered}")
    try:
        return database_.sql(f"{explain} EXECUTE explained {f'({values})' if values else ''}")
    finally:
        database_.sql("DEALLOCATE explained; RESET plan_cache_mode")
