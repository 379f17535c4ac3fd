"""Totals equal what they are the sum of, whoever writes: the API, the seed worker, raw SQL, or several of them at once."""

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pg8000.exceptions import DatabaseError

from orders.errors import violated_constraint
from tests.harness import Clients, Database, Service

WRONG_ORDERS = """
SELECT o.id FROM orders AS o LEFT JOIN order_items AS i ON i.order_id = o.id
GROUP BY o.id
HAVING o.total_cents <> coalesce(sum(i.quantity * i.unit_price_cents), 0) OR o.item_count <> count(i.id)
"""
WRONG_CUSTOMERS = """
SELECT c.id
FROM customers AS c
LEFT JOIN customer_totals AS t ON t.customer_id = c.id
LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id, t.customer_id
HAVING t.customer_id IS NULL
    OR t.order_count <> count(o.id)
    OR t.item_count <> coalesce(sum(o.item_count), 0)
    OR t.spent_cents <> coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)
"""


def assert_totals_are_right(db: Database) -> None:
    # One statement, so that both are looked at in one state of the database.
    assert (
        db.sql(f"SELECT 'order', id FROM ({WRONG_ORDERS}) AS o UNION ALL SELECT 'customer', id FROM ({WRONG_CUSTOMERS}) AS c")
        == []
    )


RAW = [
    "INSERT INTO order_items (order_id, sku, quantity, unit_price_cents) SELECT id, 'R', 3, 7 FROM orders WHERE id%2 = :n%2",
    "UPDATE order_items SET quantity = quantity % 9 + 1 WHERE id % 3 = :n % 3",
    "UPDATE order_items SET order_id = (SELECT max(id) FROM orders) WHERE id % 4 = :n % 4",
    "DELETE FROM order_items WHERE id % 5 = :n % 5",
    "UPDATE orders SET status = CASE status WHEN 'cancelled' THEN 'paid' ELSE 'cancelled' END WHERE id % 3 = :n % 3",
    "UPDATE orders SET customer_id = (SELECT min(id) FROM customers) WHERE id % 4 = :n % 4",
    "UPDATE orders SET total_cents = total_cents WHERE id % 2 = :n % 2",
    "INSERT INTO orders (customer_id, status) SELECT id, 'paid' FROM customers WHERE id % 2 = :n % 2",
    """
    DELETE FROM orders AS o
    WHERE id % 3 = :n % 3
      AND NOT EXISTS (SELECT FROM order_items WHERE order_id = o.id)
      AND NOT EXISTS (SELECT FROM order_events WHERE order_id = o.id)
    """,
    """
    WITH c AS (INSERT INTO customers (email, name) VALUES (gen_random_uuid() || '@x.de', 'n' || :n::integer) RETURNING id),
    o AS (INSERT INTO orders (customer_id, total_cents, item_count) SELECT id, 999, 9 FROM c RETURNING id)
    INSERT INTO order_items (order_id, sku, quantity, unit_price_cents) SELECT id, 'S', 2, 5 FROM o
    """,
    """
    MERGE INTO order_items AS i USING (SELECT id FROM orders WHERE id % 3 = :n % 3) AS o ON i.order_id = o.id
    WHEN MATCHED AND i.quantity > 5 THEN DELETE
    WHEN MATCHED THEN UPDATE SET unit_price_cents = i.unit_price_cents + 1
    WHEN NOT MATCHED THEN INSERT (order_id, sku, quantity, unit_price_cents) VALUES (o.id, 'M', 1, 11)
    """,
]
STEPS = st.lists(st.tuples(st.sampled_from(["api", "seed", *RAW]), st.integers(0, 1000)), min_size=1, max_size=12)


def api_step(service: Service, number: int) -> None:
    """One change by the API, chosen by a number; refusals are fine."""
    customers = service.http("GET", "/api/customers/", query={"limit": 200}).json["results"]
    orders = service.http("GET", "/api/orders/", query={"limit": 200}).json["results"]
    if not customers:
        service.customer()
        return
    item = {"sku": "API", "quantity": number % 7 + 1, "unit_price_cents": number}
    order = orders[number % len(orders)] if orders else None
    path = f"/api/orders/{order['id']}" if order else ""
    changes: list[tuple[Any, ...]] = [
        ("POST", "/api/orders/", {"customer_id": customers[number % len(customers)]["id"], "items": [item]})
    ]
    if order and order["items"]:
        first = f"{path}/items/{order['items'][0]['id']}/"
        changes += [("POST", f"{path}/items/", item), ("PATCH", first, {"quantity": item["quantity"]}), ("DELETE", first)]
        changes += [("POST", f"{path}/{action}/") for action in ("pay", "cancel", "ship")]
    assert service.http(*changes[number % len(changes)]).status < 500


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_totals_are_right_after_any_mix_of_writers(service: Service, db: Database, steps: list[tuple[str, int]]) -> None:
    db.empty()
    for what, number in steps:
        if what == "api":
            api_step(service, number)
        elif what == "seed":
            service.seed(customers=number % 4 + 1, orders_per_customer=number % 3, items_per_order=number % 2 + 1)
        else:
            db.sql(what, n=number)
        assert_totals_are_right(db)


def test_totals_are_right_after_a_truncate(service: Service, db: Database) -> None:
    service.seed()
    db.sql("TRUNCATE order_items")
    assert_totals_are_right(db)
    db.sql("TRUNCATE orders, order_items, order_events")
    assert_totals_are_right(db)


def test_totals_are_right_at_every_moment_while_many_write(service: Service, clients: Clients, db: Database) -> None:
    """The API from eight processes and raw SQL beside it; a checker looks at one snapshot after the other."""
    service.seed(customers=3, orders_per_customer=3)
    customers = [row[0] for row in db.sql("SELECT id FROM customers")]
    orders = [row[0] for row in db.sql("SELECT id FROM orders")]
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 5}
    requests: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for number in range(150):
        order = orders[number % len(orders)]
        body = {"customer_id": customers[number % 3], "items": [item] * (number % 3 + 1)}
        requests += [
            (("POST", "/api/orders/", body), {}),
            (("POST", f"/api/orders/{order}/items/", item), {}),
            (("POST", f"/api/orders/{order}/{('pay', 'cancel')[number % 2]}/"), {}),
        ]
    done = threading.Event()
    problems: list[BaseException] = []
    checks = 0

    def raw_writer() -> None:
        connection = db.server.connect()
        number = 0
        while not done.is_set():
            number += 1
            try:
                connection.run(RAW[number % 3], n=number)
            except DatabaseError as problem:
                # An order that is full refuses the statement as a whole.
                if violated_constraint(problem) != "orders_item_count_limit":
                    problems.append(problem)
        connection.close()

    writer = threading.Thread(target=raw_writer)
    writer.start()
    futures = [clients.submit(request) for request in requests]
    while not all(future.done() for future in futures):
        assert_totals_are_right(db)
        checks += 1
    done.set()
    writer.join()
    assert problems == []
    assert checks > 5
    assert {future.result().status for future in futures} <= {200, 201, 409}
    assert_totals_are_right(db)


@pytest.mark.parametrize("statement", ["UPDATE customer_totals SET spent_cents = 1", "UPDATE orders SET total_cents = 5"])
def test_the_audit_repairs_what_somebody_broke_on_purpose(service: Service, db: Database, statement: str) -> None:
    service.seed(customers=3)
    assert service.invoke("audit_totals", {})["repaired_orders"] == 0
    db.sql(f"SET session_replication_role = replica; {statement}; SET session_replication_role = origin")
    assert db.sql(WRONG_ORDERS) != [] or db.sql(WRONG_CUSTOMERS) != []
    result = service.invoke("audit_totals", {})
    assert result["repaired_orders"] + result["repaired_customers"] > 0
    assert_totals_are_right(db)
    again = service.invoke("audit_totals", {})
    assert (again["repaired_orders"], again["repaired_customers"]) == (0, 0)


def test_the_audit_makes_a_missing_row_of_totals(service: Service, db: Database) -> None:
    service.seed(customers=2)
    db.sql("DELETE FROM customer_totals WHERE customer_id = (SELECT min(id) FROM customers)")
    assert service.invoke("audit_totals", {})["repaired_customers"] == 1
    assert_totals_are_right(db)
