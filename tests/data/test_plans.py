"""What lists read of skewed data: rows that a filter throws away, and pages, where a wrong plan shows."""

import itertools
import json
import runpy
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from benchmarks.skewed import skewed as skewed_data
from contract.functions import FUNCTIONS
from orders import database
from orders.connection import parse
from orders.limits import MAX_PAGE_ROWS
from orders.needles import index_pattern
from orders.paging import encode_cursor
from tests.harness import Database, Service

CUSTOMERS, ORDERS = 30_000, 80_000
PENDING, PAID = 0.5, 0.1
# Of the rest one has most: the first webhook nine of ten deliveries, the first order every fourth mail and event.
BESIDES = """
SET session_replication_role = replica;
INSERT INTO webhooks (url, types, description, secret)
SELECT 'https://example.com/' || n, '{*}', '', 'secret' FROM generate_series(1, 2000) AS n;
INSERT INTO webhook_deliveries (webhook_id, event_id, type)
SELECT first + CASE WHEN n % 10 > 0 THEN 0 ELSE 1 + n % 999 END, n, 'order.created'
FROM generate_series(1, 10000) AS n, (SELECT min(id) AS first FROM webhooks) AS w;
INSERT INTO mails (event_id, order_id, customer_id, type)
SELECT n, first + CASE WHEN n % 4 > 0 THEN n ELSE 0 END, 1, 'order.paid'
FROM generate_series(1, 10000) AS n, (SELECT min(id) AS first FROM orders) AS o;
INSERT INTO events (transaction_id, order_id, customer_id, sequence, type, request_id, changes)
SELECT
    (3 + n / 100)::text::xid8,
    o.first + CASE WHEN n % 4 > 0 THEN n ELSE 0 END,
    c.first + CASE WHEN n % 3 > 0 THEN n ELSE 0 END,
    n, CASE WHEN n % 1000 = 1 THEN 'order.cancelled' ELSE 'order.created' END, 'r', '{}'
FROM generate_series(1, 20000) AS n,
    (SELECT min(id) AS first FROM orders) AS o,
    (SELECT min(id) AS first FROM customers) AS c;
INSERT INTO customer_total_deltas SELECT min(id), 0, 0, 0 FROM customers;
INSERT INTO exports (kind, format, filters) SELECT 'orders', 'csv', '{}' FROM generate_series(1, 2000);
RESET session_replication_role
"""
TABLES = "customers, orders, order_items, customer_totals, events, webhooks, webhook_deliveries, mails, exports"


@pytest.fixture(scope="module")
def skewed(migrated: Database) -> Iterator[Database]:
    migrated.empty()
    migrated.sql(";".join(skewed_data(CUSTOMERS, ORDERS, pending=PENDING, paid=PAID)))
    migrated.sql(BESIDES)
    migrated.sql(f"VACUUM ANALYZE {TABLES}")
    yield migrated
    migrated.empty()


class Read:
    """What one statement read, by EXPLAIN (ANALYZE, BUFFERS), with the plan that it keeps."""

    def __init__(self, db: Database, sql: str, options: dict[str, Any]) -> None:
        values = {name: value for name, value in options.items() if name != "repeatable"}
        _, numbered, names = parse(sql)
        given = f"({', '.join(_literal(values[name]) for name in names)})" if names else ""
        db.sql(f"SET plan_cache_mode = force_generic_plan; PREPARE explained AS {numbered.decode()}")
        try:
            [[plan]] = db.sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained {given}")
        finally:
            db.sql("DEALLOCATE explained; RESET plan_cache_mode")
        self.plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
        self.pages: int = self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"]
        self.removed = sum(_removed(node) for node in _nodes(self.plan))
        # For how many rows each join that remembers what it finds prepares itself.
        self.remembered = [
            node["Plans"][0]["Plan Rows"]
            for node in _nodes(self.plan)
            if any(inner["Node Type"] == "Memoize" for inner in node.get("Plans", []))
        ]


def _literal(value: int | str | list[str] | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _removed(node: dict[str, Any]) -> float:
    return float(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] + node.get("Rows Removed by Index Recheck", 0))


def read(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, path: str, **query: Any) -> tuple[Read, Any]:
    """What the list's statement read, and the answer."""
    reads = []
    run = database.run

    def explained(sql: str, **options: Any) -> Any:
        reads.append(Read(db, sql, options))
        return run(sql, **options)

    with monkeypatch.context() as patched:
        patched.setattr(database, "run", explained)
        answer = service.http("GET", path, query=query)
    assert answer.status == 200, answer.text
    [only] = reads
    return only, answer.json


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("status", [None, "pending", "paid", "delivered", "cancelled", "shipped"])
@pytest.mark.parametrize("whose", ["everybody", "many orders", "few orders"])
def test_a_list_reads_no_more_than_the_unfiltered_one(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, status: str | None, whose: str, page: int
) -> None:
    first = skewed.value("SELECT min(id) FROM customers")
    customer = {"everybody": None, "many orders": first, "few orders": first + 500}[whose]
    query = {name: value for name, value in (("status", status), ("customer_id", customer)) if value is not None}
    unfiltered, _ = read(functions, skewed, monkeypatch, "/api/orders/")
    listed, answer = read(functions, skewed, monkeypatch, "/api/orders/", **query)
    for _ in range(page - 1):
        if answer["next_cursor"] is not None:
            cursor = answer["next_cursor"]
            listed, answer = read(functions, skewed, monkeypatch, "/api/orders/", cursor=cursor, **query)
    assert listed.removed == 0, listed.plan
    # What remembers customers gets memory for as many rows as are expected: for all orders, a third of the list's time.
    assert all(expected <= MAX_PAGE_ROWS + 1 for expected in listed.remembered), listed.plan
    # Rare orders lie apart in the table, a page each, where the newest ones share theirs.
    allowed = 1.25 if status == "cancelled" else 1.2
    assert listed.pages <= allowed * unfiltered.pages, (listed.pages, unfiltered.pages, json.dumps(listed.plan))


@pytest.mark.parametrize("others", [{}, {"status": "delivered"}, {"status": "paid"}, {"email": "a"}, {"customer_id": "5"}])
@pytest.mark.parametrize("reference", ["PO-4", f"PO-{ORDERS}", "PO-5"])
def test_a_reference_is_found_by_its_index(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, reference: str, others: dict[str, str]
) -> None:
    found, _ = read(functions, skewed, monkeypatch, "/api/orders/", reference=reference, **others)
    assert "orders_reference_key" in json.dumps(found.plan)
    assert found.removed <= 1, found.plan
    # The three indexes on the way to one order, its customer and its items, and their rows.
    assert found.pages <= 20, (found.pages, json.dumps(found.plan))


def scans(plan: dict[str, Any]) -> set[str]:
    """The tables that a plan has read in full."""
    nodes = [node for node in _nodes(plan) if node["Node Type"] == "Seq Scan" and node["Actual Loops"]]
    return {node["Relation Name"] for node in nodes}


# By list: its path, with the ids of the first rows, and a statement for the keys of a row far down.
LISTS = {
    "customers": ("/api/customers/", "SELECT max(id) - 20000 FROM customers"),
    "summary": (
        "/api/orders/summary/",
        "SELECT -spent_cents, customer_id FROM customer_totals ORDER BY -spent_cents, customer_id OFFSET 20000 LIMIT 1",
    ),
    "deliveries, most": ("/api/webhooks/{webhook}/deliveries/", "SELECT max(id) - 5000 FROM webhook_deliveries"),
    "deliveries, few": ("/api/webhooks/{few}/deliveries/", "SELECT max(id) FROM webhook_deliveries"),
    "webhooks": ("/api/webhooks/", "SELECT max(id) - 1000 FROM webhooks"),
    "mails, most": ("/api/orders/{order}/mails/", "SELECT max(id) - 5000 FROM mails"),
    "mails, one": ("/api/orders/{next}/mails/", "SELECT min(id) FROM mails"),
    "history, long": ("/api/orders/{order}/events/", "SELECT 10000"),
    "history, short": ("/api/orders/{next}/events/", "SELECT 1"),
    "exports": ("/api/exports/", "SELECT max(number) - 1000 FROM exports"),
}
FIRST_IDS = """
SELECT json_build_object(
    'webhook', min(w.id), 'few', min(w.id) + 11, 'order', (SELECT min(id) FROM orders), 'next', (SELECT min(id) + 1 FROM orders)
)::text
FROM webhooks AS w
"""


@pytest.mark.parametrize("depth", ["first", "deep"])
@pytest.mark.parametrize("name", LISTS)
def test_every_other_list_reads_its_page_and_no_more(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, name: str, depth: str
) -> None:
    path, deep = LISTS[name]
    path = path.format(**json.loads(skewed.value(FIRST_IDS)))
    query = {"cursor": encode_cursor(skewed.sql(deep)[0], f"{path.removesuffix('/')}?")} if depth == "deep" else {}
    listed, _ = read(functions, skewed, monkeypatch, path, **query)
    # Of those there are few.
    assert not scans(listed.plan) - {"customer_total_deltas"}, listed.plan
    assert listed.removed <= 1, listed.plan
    # A row each, and of the summary its customer, three pages away; and the way down to the first.
    assert listed.pages <= 51 * 4 + 20, (listed.pages, json.dumps(listed.plan))


# What each kind of export is filtered by. A customer or an order is the one with most, or one with few.
EXPORTED: dict[str, dict[str, list[Any]]] = {
    "orders": {
        "status": [None, "paid", "shipped"],
        "email": [None, "alice.nguyen", "~"],
        "customer_id": [None, 0, 500],
        "reference": [None, "PO-40000"],
    },
    "items": {
        "status": [None, "shipped"],
        "email": [None, "alice.nguyen"],
        "customer_id": [None, 0],
        "reference": [None, "PO-40000"],
    },
    "customers": {"email": [None, "alice.nguyen", "gmail.com", "~"]},
    "summary": {},
    "events": {"type": [None, "order.cancelled", "order.paid"], "customer_id": [None, 0, 500], "order_id": [None, 0, 500]},
}
COPIES = runpy.run_path(str(FUNCTIONS / "run_export" / "copies.py"))
RANGE = 500


@pytest.mark.parametrize("kind", EXPORTED)
def test_a_range_of_an_export_reads_no_more_than_the_unfiltered_one(skewed: Database, kind: str) -> None:
    smallest = {name: skewed.value(f"SELECT min(id) FROM {name}s") for name in ("order", "customer", "event")}
    table = COPIES["TABLES"][kind].removesuffix("s")
    first = smallest[table] + 10_000
    unfiltered = None
    for chosen in itertools.product(*EXPORTED[kind].values()):
        given = {name: value for name, value in zip(EXPORTED[kind], chosen, strict=True) if value is not None}
        ids = {name: smallest[name.removesuffix("_id")] + given[name] for name in ("customer_id", "order_id") if name in given}
        filters = {name: f"'{value}'" for name, value in (given | ids).items()}
        copy = COPIES["copy_statement"](kind, "jsonl", filters, (first, first + RANGE))
        copied = Read(skewed, copy.removeprefix("COPY (").rpartition(") TO STDOUT")[0], {})
        unfiltered = unfiltered or copied
        assert COPIES["TABLES"][kind] not in scans(copied.plan), (given, json.dumps(copied.plan))
        assert copied.pages <= 1.2 * unfiltered.pages, (given, copied.pages, unfiltered.pages, json.dumps(copied.plan))
    # An order, its customer and its items.
    assert unfiltered is not None
    assert unfiltered.pages <= 12 * RANGE, json.dumps(unfiltered.plan)


# What a search may read in vain: what it walks before it turns to the index, or instead of it.
# By needle: how many orders and how many customers are walked at most, and how many customers the index then finds.
NEEDLES = {
    "gmail.com": (200, 500, 0),
    "ALI": (2_000, 20_000, 0),
    "@firm": (10_000, 20_000, 0),
    "alice.nguyen": (200, 20_000, 63),
    "nguyen.950@firm950.de": (200, 500, 1),
    "ALICE.NGUYEN.25175@": (200, 500, 1),
    "ce.nguyen.25175@gmail": (200, 500, 1),
    # Every tenth order is this customer's, and no further walk finds another one.
    "hiro.tanaka.1@": (200, 500, 63),
    "nobody-has-this": (200, 500, 0),
    "nguyen.2517_@gmail.com": (200, 500, 10),
    # The index does not tell one separator from another.
    ".firm": (200, 500, 600),
    # Nor in which order the parts stand.
    "gmail.garcia.alice": (200, 500, 64),
    # Many customers, but all of them and their orders are old.
    "old.example.org": (200, 500, 2_250),
    # The index knows nothing about these.
    ".a": (2_000, 10_000, 0),
    "qz": (2_000, 10_000, 0),
    "~": (2_000, 10_000, 0),
}
# Customers who tell whether a needle is common, where the newest orders or customers do not.
SAMPLED = 400
MATCHING_ORDERS = """
SELECT id FROM orders WHERE customer_id = ANY (:customers::bigint[]) AND id < :before AND status = coalesce(:status, status)
ORDER BY id DESC LIMIT 50"""


@pytest.fixture(scope="module")
def matching(skewed: Database) -> dict[str, list[int]]:
    """By needle, the customers whose address contains it."""
    emails = skewed.sql("SELECT id, lower(email) FROM customers ORDER BY id DESC")
    return {needle: [row[0] for row in emails if needle.lower() in row[1]] for needle in NEEDLES}


@pytest.mark.parametrize("depth", ["first", "deep"])
@pytest.mark.parametrize("whose", ["everybody", "many orders", "few orders"])
@pytest.mark.parametrize("status", [None, "pending", "paid", "cancelled", "shipped"])
def test_a_search_for_orders_reads_little_in_vain(
    functions: Service,
    skewed: Database,
    monkeypatch: pytest.MonkeyPatch,
    matching: dict[str, list[int]],
    status: str | None,
    whose: str,
    depth: str,
) -> None:
    first, newest = skewed.value("SELECT min(id) FROM customers"), skewed.value("SELECT max(id) FROM orders")
    customer = {"everybody": None, "many orders": first, "few orders": first + 500}[whose]
    before = {"first": newest + 1, "deep": newest - ORDERS * 3 // 5}[depth]
    unfiltered, _ = read(functions, skewed, monkeypatch, "/api/orders/")
    for needle, (walked, _, found) in NEEDLES.items():
        filters = {"customer_id": customer, "email": needle, "status": status}
        query = {name: value for name, value in filters.items() if value is not None}
        scope = f"/api/orders?{urlencode(query)}"
        search, answer = read(functions, skewed, monkeypatch, "/api/orders/", cursor=encode_cursor([before], scope), **query)
        what = (needle, search.removed, search.pages, unfiltered.pages, json.dumps(search.plan))
        assert not scans(search.plan), what
        assert search.removed <= (walked + SAMPLED if customer is None else 0) + found, what
        # Three for each customer who is looked at, and as many for their newest order, and for the other ones.
        allowed = 1.25 * unfiltered.pages + 3 * walked + 12 * found
        assert search.pages <= (allowed if customer is None else 1.25 * unfiltered.pages), what
        ids = [order["id"] for order in answer["results"]]
        customers = [number for number in matching[needle] if customer in (None, number)]
        expected = skewed.sql(MATCHING_ORDERS, customers=customers, before=before, status=status)
        assert ids == [row[0] for row in expected][: len(ids)], what
        assert len(ids) == len(expected) or (answer["next_cursor"] and index_pattern(needle) is None), what


@pytest.mark.parametrize("count", [300, 3_000])
def test_newest_orders_of_one_customer_do_not_hide_that_a_needle_is_common(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Of whom the index would find 12,000, each with orders that lie apart."""
    path, needle = "/api/orders/", "gmail.com"
    unfiltered, _ = read(functions, skewed, monkeypatch, path)
    [[customer]] = skewed.sql("SELECT id FROM customers WHERE strpos(lower(email), :needle) = 0 LIMIT 1", needle=needle)
    insert = "INSERT INTO orders (customer_id) SELECT :customer FROM generate_series(1, :count::integer) RETURNING id"
    orders = [row[0] for row in skewed.sql(insert, customer=customer, count=count)]
    search, answer = read(functions, skewed, monkeypatch, path, email=needle)
    skewed.sql("DELETE FROM orders WHERE id = ANY (:orders::bigint[])", orders=orders)
    assert len(answer["results"]) == 50
    assert search.pages <= 1.25 * unfiltered.pages + 4 * count, (search.pages, json.dumps(search.plan))


@pytest.mark.parametrize("depth", ["first", "deep"])
def test_a_search_for_customers_reads_little_in_vain(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, matching: dict[str, list[int]], depth: str
) -> None:
    newest = skewed.value("SELECT max(id) FROM customers")
    before = {"first": newest + 1, "deep": newest - CUSTOMERS * 2 // 3}[depth]
    for needle, (_, walked, found) in NEEDLES.items():
        cursor = encode_cursor([before], f"/api/customers?{urlencode({'email': needle})}")
        search, answer = read(functions, skewed, monkeypatch, "/api/customers/", email=needle, cursor=cursor)
        what = (needle, search.removed, search.pages, json.dumps(search.plan))
        assert not scans(search.plan), what
        assert search.removed <= walked + SAMPLED + found, what
        # The customers lie together, about 130 on a page; the index adds some, and each of the page's documents three.
        assert search.pages <= walked / 50 + found + 4 * 51 + 60, what
        ids = [customer["id"] for customer in answer["results"]]
        expected = [number for number in matching[needle] if number < before][:50]
        assert ids == expected[: len(ids)], what
        assert len(ids) == len(expected) or (answer["next_cursor"] and index_pattern(needle) is None), what


# A restore leaves a gap in the ids, here before or after all but one customer.
@pytest.mark.parametrize(("count", "gap"), [(600, 0), (21_000, 0), (600, 10**15), (600, -(10**15))])
def test_newest_customers_of_one_kind_do_not_hide_that_a_needle_is_common(
    functions: Service, skewed: Database, monkeypatch: pytest.MonkeyPatch, count: int, gap: int
) -> None:
    """As after an import. Of those before them the index would find 12,000."""
    insert = "INSERT INTO customers (email, name) SELECT n || '@imported.example.com', 'I'"
    skewed.sql(f"{insert} FROM generate_series(1, :count::bigint) AS n", count=count)
    if gap:
        into = "INSERT INTO customers (id, email, name) OVERRIDING SYSTEM VALUE"
        skewed.sql(f"{into} SELECT max(id) + :gap::bigint, '0@imported.example.com', 'I' FROM customers", gap=gap)
    skewed.sql("ANALYZE customers")
    search, answer = read(functions, skewed, monkeypatch, "/api/customers/", email="gmail.com")
    skewed.sql("DELETE FROM customers WHERE email LIKE '%@imported.example.com'")
    assert len(answer["results"]) == 50
    customers = [node for node in _nodes(search.plan) if node.get("Relation Name") == "customers"]
    looked_at = sum(node["Actual Rows"] * node["Actual Loops"] + _removed(node) for node in customers)
    assert looked_at <= count + SAMPLED + 1_200, (looked_at, json.dumps(search.plan))


KEPT: list[tuple[str, dict[str, Any]]] = [
    *(
        (path, {**query, **search})
        for path, query in (
            ("/api/orders/", {}),
            ("/api/orders/", {"status": "paid"}),
            ("/api/orders/", {"customer_id": 5}),
            ("/api/orders/", {"status": "paid", "customer_id": 5}),
            ("/api/orders/", {"reference": "PO-4"}),
            ("/api/customers/", {}),
        )
        for search in ({}, {"email": "alice.nguyen"}, {"email": "~"})
    ),
    # One row alone seems cheap to fetch, and one customer has a third of all events.
    ("/api/orders/", {"limit": 1}),
    ("/api/customers/", {"limit": 1}),
    ("/api/orders/summary/", {}),
    ("/api/orders/summary/", {"limit": 1}),
    ("/api/events/", {}),
    ("/api/events/", {"limit": 1}),
    ("/api/events/", {"type": "order.created"}),
    ("/api/events/", {"type": "customer.erased"}),
    ("/api/events/", {"customer_id": 5}),
    ("/api/events/", {"customer_id": "{customer}"}),
    ("/api/events/", {"type": "order.created", "customer_id": 5}),
    ("/api/events/", {"type": "order.cancelled", "customer_id": "{customer}"}),
    ("/api/events/", {"order_id": 5}),
    ("/api/orders/{order}/events/", {}),
    ("/api/orders/{order}/mails/", {}),
    ("/api/orders/{order}/webhook-deliveries/", {}),
    ("/api/webhooks/", {}),
    ("/api/webhooks/{webhook}/deliveries/", {}),
    ("/api/exports/", {}),
]


@pytest.fixture(params=[1, 1_000])
def believed(request: pytest.FixtureRequest, skewed: Database) -> Iterator[int]:
    """How many times as many rows as there are the planner believes in."""
    believe = "UPDATE pg_class SET reltuples = reltuples {} WHERE relnamespace = 'public'::regnamespace AND reltuples > 0"
    skewed.sql(believe.format(f"* {request.param}"))
    yield request.param
    skewed.sql(believe.format(f"/ {request.param}"))


@pytest.mark.usefixtures("believed")
@pytest.mark.parametrize(("path", "query"), KEPT)
def test_the_plan_of_a_list_is_kept(functions: Service, skewed: Database, path: str, query: dict[str, Any]) -> None:
    """PostgreSQL plans the first five calls with their values, and then keeps a plan if that seems no dearer."""
    first = {name: skewed.value(f"SELECT min(id) FROM {name}s") for name in ("order", "webhook", "customer")}
    query = {name: str(value).format(**first) for name, value in query.items()}
    functions.close()
    for _ in range(8):
        assert functions.http("GET", path.format(**first), query=query).status == 200
    connection = functions.connections["orders_app"]
    assert connection is not None
    assert connection.run("SELECT generic_plans, custom_plans FROM pg_prepared_statements") == [[3, 5]]
