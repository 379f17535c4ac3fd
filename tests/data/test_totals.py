"""Totals are correct whoever writes: the API, the seed worker, raw SQL, or several of them at once."""

import json
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.connection import Connection
from orders.driver import DatabaseError
from orders.errors import violated_constraint
from tests.harness import Clients, Database, LambdaContext, Service

WRONG_ORDERS = """
SELECT o.id FROM orders AS o LEFT JOIN order_items AS i ON i.order_id = o.id
GROUP BY o.id
HAVING o.total_cents <> coalesce(sum(i.quantity * i.unit_price_cents), 0) OR o.item_count <> count(i.id)
"""
WRONG_CUSTOMERS = """
SELECT c.id
FROM customers AS c
LEFT JOIN current_customer_totals AS t ON t.customer_id = c.id
LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id, t.customer_id, t.order_count, t.item_count, t.spent_cents
HAVING t.customer_id IS NULL
    OR t.order_count <> count(o.id)
    OR t.item_count <> coalesce(sum(o.item_count), 0)
    OR t.spent_cents <> coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)
"""


def assert_totals_are_right(db: Database) -> None:
    # A single statement, so that both queries see the same state of the database.
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
      AND NOT EXISTS (SELECT FROM events WHERE order_id = o.id)
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
GO = "DELETE FROM customers AS c WHERE id % 2 = :n % 2 AND NOT EXISTS (SELECT FROM orders WHERE customer_id = c.id)"
HOLD = "SELECT FROM customer_totals WHERE customer_id % 2 = :n % 2 FOR UPDATE"
STEPS = st.lists(
    st.tuples(st.sampled_from(["api", "seed", "audit", GO, HOLD, *RAW]), st.integers(0, 1000)), min_size=1, max_size=12
)
# What the summary must show, in its order.
COUNTED_SUMMARY = """
SELECT c.id, count(o.id), coalesce(sum(o.item_count), 0)::bigint,
    coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)::bigint AS spent_cents
FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id ORDER BY spent_cents DESC, c.id
"""


def api_step(service: Service, number: int) -> None:
    """One change through the API, chosen by a number; refusals are fine."""
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


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_totals_are_right_after_any_mix_of_writers(service: Service, db: Database, steps: list[tuple[str, int]]) -> None:
    """HOLD locks totals, as a writer does that has not committed yet, until the next HOLD or GO."""
    db.empty()
    holder = db.server.connect()
    for what, number in steps:
        if what == "api":
            api_step(service, number)
        elif what == "seed":
            service.seed(customers=number % 4 + 1, orders_per_customer=number % 3, items_per_order=number % 2 + 1)
        elif what == "audit":
            assert service.invoke("audit_totals", {})["repaired_customers"] == 0
        else:
            if what in (GO, HOLD):
                holder.run("ROLLBACK; BEGIN")
            (holder.run if what == HOLD else db.sql)(what, n=number)
        assert_totals_are_right(db)
        assert summary(service, number % 3 + 1) == db.sql(COUNTED_SUMMARY)
    # Not only closed: its locks would last until the server has noticed, and the audit leaves alone what is locked.
    holder.run("ROLLBACK")
    holder.close()
    assert service.invoke("audit_totals", {})["repaired_customers"] == 0
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    assert_totals_are_right(db)


def summary(service: Service, limit: int = 200) -> list[list[int]]:
    """All pages, as rows of customer, orders, items and cents spent."""
    rows, cursor = [], ""
    while cursor is not None:
        query = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = service.http("GET", "/api/orders/summary/", query=query).json
        rows += [[r["customer_id"], r["order_count"], r["item_count"], r["total_spent_cents"]] for r in page["results"]]
        cursor = page["next_cursor"]
    return rows


def test_nobody_waits_for_another_writer_of_the_same_customer(service: Service, db: Database) -> None:
    customer = service.customer()["id"]
    first = service.order(customer, (1, 100))["id"]
    writer = db.connect("orders_app")
    writer.run("BEGIN")
    writer.run("UPDATE orders SET status = 'cancelled' WHERE id = :id", id=first)
    service.order(customer, (2, 10))
    service.act(service.order(customer, (1, 7))["id"], "cancel")
    # One delta for each: two orders, and what was cancelled. The cancellation of the first is not committed yet.
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 3
    assert summary(service) == [[customer, 3, 3, 120]]
    writer.run("COMMIT")
    assert summary(service) == [[customer, 3, 3, 20]]
    service.order(customer, (1, 5))
    assert db.sql("SELECT * FROM customer_totals") == summary(service) == [[customer, 4, 4, 25]]
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    writer.close()


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_customers_with_deltas_are_paged_by_their_sums(service: Service, db: Database, limit: int) -> None:
    customers = [service.customer(f"{n}@example.com")["id"] for n in range(7)]
    for n, customer in enumerate(customers):
        service.order(customer, (1, 100 * n))
    holder = db.server.connect()
    holder.run("BEGIN; SELECT FROM customer_totals WHERE customer_id % 2 = 0 FOR UPDATE")
    # From last to third, from first to last, to a tie with another one, and to the first place.
    for n, customer in enumerate(customers):
        service.order(customer, (1, (350, 0, 100, 40)[n % 4]))
        service.order(customer, (1, 1))
    db.sql("UPDATE orders SET status = 'cancelled' WHERE customer_id = :id", id=customers[6])
    assert db.value("SELECT count(*) FROM customer_total_deltas") > 0
    assert summary(service, limit) == db.sql(COUNTED_SUMMARY)
    holder.close()


def test_deltas_of_a_writer_that_is_killed_are_never_seen(service: Service, db: Database) -> None:
    customer = service.customer()["id"]
    holder, killed = db.server.connect(), db.connect("orders_app")
    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    killed.run("BEGIN")
    killed.run("INSERT INTO orders (customer_id, total_cents, item_count) VALUES (:id, 5, 1)", id=customer)
    service.order(customer, (1, 3))
    killed.abandon()
    holder.run("COMMIT")
    holder.close()
    assert summary(service) == [[customer, 1, 1, 3]]
    service.order(customer, (1, 4))
    assert db.sql("SELECT * FROM customer_totals") == [[customer, 2, 2, 7]]
    assert_totals_are_right(db)


def test_a_writer_waits_where_a_delta_could_pass_the_limit(service: Service, db: Database) -> None:
    """A delta that no row of totals has room for would make every later writer of the customer fail."""
    customer = service.customer()["id"]
    db.sql("INSERT INTO orders (customer_id, total_cents) VALUES (:id, 9007199254740000)", id=customer)
    holder, writer = db.server.connect(), db.connect("orders_app")
    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    writer.run("SET lock_timeout = '50ms'")
    with pytest.raises(DatabaseError, match="lock timeout"):
        writer.run("INSERT INTO orders (customer_id, total_cents) VALUES (:id, 1)", id=customer)
    holder.run("COMMIT")
    holder.close()
    writer.run("INSERT INTO orders (customer_id, total_cents) VALUES (:id, 1)", id=customer)
    with pytest.raises(DatabaseError) as refused:
        writer.run("INSERT INTO orders (customer_id, total_cents) VALUES (:id, 1000)", id=customer)
    assert violated_constraint(refused.value) == "customer_totals_spent_limit"
    writer.close()


def test_a_change_up_to_the_limit_counts_what_others_left_behind(service: Service, db: Database) -> None:
    """Otherwise the customer has more than the limit, and neither the next writer nor the audit can add the delta."""
    customer = service.customer()["id"]
    holder, left, large = db.server.connect(), db.connect("orders_app"), db.connect("orders_app")
    insert = "INSERT INTO orders (customer_id, total_cents) VALUES (:id, :cents)"
    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    left.run("BEGIN")
    left.run(insert, id=customer, cents=1)
    holder.run("COMMIT")
    refusals: list[DatabaseError] = []

    def fill() -> None:
        try:
            large.run(insert, id=customer, cents=9_007_199_254_740_991)
        except DatabaseError as refusal:
            refusals.append(refusal)

    filling = threading.Thread(target=fill)
    filling.start()
    while db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 0 and filling.is_alive():
        pass
    left.run("COMMIT")
    filling.join()
    assert [violated_constraint(refusal) for refusal in refusals] == ["customer_totals_spent_limit"]
    large.run(insert, id=customer, cents=9_007_199_254_740_990)
    assert summary(service) == [[customer, 2, 0, 9_007_199_254_740_991]]
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    for connection in (holder, left, large):
        connection.close()


def test_a_large_change_is_not_left_behind(service: Service, db: Database) -> None:
    """Two of them may be too much for what remains after a third one that is not committed yet."""
    customer = service.customer()["id"]
    first, second = db.connect("orders_app"), db.connect("orders_app")
    insert = "INSERT INTO orders (customer_id, total_cents) VALUES (:id, :cents)"
    first.run("BEGIN")
    first.run(insert, id=customer, cents=9_000_000_000_000_000)
    second.run("SET lock_timeout = '50ms'")
    with pytest.raises(DatabaseError, match="lock timeout"):
        second.run(insert, id=customer, cents=8_000_000_000_000)
    first.run("COMMIT")
    with pytest.raises(DatabaseError) as refused:
        second.run(insert, id=customer, cents=8_000_000_000_000)
    assert violated_constraint(refused.value) == "customer_totals_spent_limit"
    first.close()
    second.close()


def test_writers_of_a_customer_beyond_half_of_the_limit_wait_for_one_another_and_not_in_a_circle(
    service: Service, db: Database
) -> None:
    customer = service.customer()["id"]
    insert = "INSERT INTO orders (customer_id, total_cents) VALUES (:id, :cents)"
    db.sql(insert, id=customer, cents=5_000_000_000_000_000)
    holder = db.server.connect()
    writers = [db.connect("orders_app") for _ in range(4)]
    refusals: list[DatabaseError] = []

    def write(writer: Connection) -> None:
        try:
            writer.run(insert, id=customer, cents=1)
        except DatabaseError as refusal:
            refusals.append(refusal)

    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    threads = [threading.Thread(target=write, args=[writer]) for writer in writers]
    for thread in threads:
        thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while db.value(waiting) < len(writers) and all(thread.is_alive() for thread in threads):
        pass
    holder.run("COMMIT")
    for thread in threads:
        thread.join()
    assert refusals == []
    assert summary(service) == [[customer, 5, 0, 5_000_000_000_000_004]]
    for connection in (holder, *writers):
        connection.close()


def test_deltas_go_with_their_customer_and_with_all_orders(service: Service, db: Database) -> None:
    gone, stays = (service.customer(f"{name}@example.com")["id"] for name in ("gone", "stays"))
    holder = db.server.connect()
    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    db.sql("INSERT INTO orders (customer_id) VALUES (:gone), (:stays)", gone=gone, stays=stays)
    db.sql("DELETE FROM orders WHERE customer_id = :gone", gone=gone)
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 3
    holder.close()
    assert service.http("DELETE", f"/api/customers/{gone}/").status == 204
    assert db.sql("SELECT customer_id FROM customer_total_deltas") == [[stays]]
    db.sql("TRUNCATE orders, order_items, events")
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    assert_totals_are_right(db)


def test_the_audit_counts_deltas_and_adds_those_that_were_left(service: Service, db: Database) -> None:
    right, wrong = (service.customer(f"{name}@example.com")["id"] for name in ("right", "wrong"))
    holder = db.server.connect()
    holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
    for customer in (right, wrong):
        service.order(customer, (1, 5))
    # Neither waits for a writer nor takes its deltas for drift.
    assert service.invoke("audit_totals", {})["repaired_customers"] == 0
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 2
    holder.close()
    db.sql("UPDATE customer_totals SET spent_cents = spent_cents + 1 WHERE customer_id = :wrong", wrong=wrong)
    assert db.sql("SELECT repair_customer_totals(:first, :last)", first=right, last=wrong) == [[1]]
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 2
    assert_totals_are_right(db)
    assert service.invoke("audit_totals", {})["repaired_customers"] == 0
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    assert_totals_are_right(db)


def test_the_summary_is_exact_at_every_read_while_eight_write_for_one_customer(
    service: Service, clients: Clients, db: Database
) -> None:
    """Some writers are killed, and the row of totals is locked again and again, as it is until a disk has been flushed."""
    customer = service.customer()["id"]
    orders = [service.order(customer)["id"] for _ in range(60)]
    body = {"customer_id": customer, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 5}]}
    requests: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    for order in orders:
        requests += [(("POST", "/api/orders/", body), {})] * 5
        requests += [(("POST", f"/api/orders/{order}/items/", body["items"][0]), {})]
        requests += [(("POST", f"/api/orders/{order}/cancel/"), {})]
    futures = [clients.submit(request) for request in requests]
    reader, holder = db.server.connect(), db.server.connect()
    statement = service.module("summarize_orders").SUMMARIZE_ORDERS
    most_deltas, reads = 0, 0
    while not all(future.done() for future in futures):
        holder.run("BEGIN; SELECT FROM customer_totals FOR UPDATE")
        for _ in range(5):
            reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
            [[spent, _, document]] = reader.run(statement, negative_spent=-(2**62), customer_id=0, rows=2)
            shown = [customer, *list(json.loads(document).values())[3:]]
            assert [shown] == reader.run(COUNTED_SUMMARY)
            assert -spent == shown[-1]
            most_deltas = max(most_deltas, reader.run("SELECT count(*) FROM customer_total_deltas")[0][0])
            reader.run("COMMIT")
            reads += 1
        holder.run("COMMIT")
        if reads % 50 == 0:
            db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app' LIMIT 1")
    for connection in (reader, holder):
        connection.close()
    assert {future.result().status for future in futures} <= {200, 201, 409, 503}
    assert most_deltas > 1
    service.invoke("audit_totals", {})
    assert db.value("SELECT count(*) FROM customer_total_deltas") == 0
    assert summary(service) == db.sql(COUNTED_SUMMARY)


def test_a_writer_waits_for_another_one_of_the_order_even_where_the_totals_seem_right(service: Service, db: Database) -> None:
    """Two items are added at once to an order whose totals already hold the first: something bypassed the triggers."""
    order = service.order(service.customer()["id"], (1, 5))["id"]
    db.sql("UPDATE orders SET total_cents = 12, item_count = 2 WHERE id = :id", id=order)
    first, second = db.connect("orders_app"), db.connect("orders_app")
    add = "INSERT INTO order_items (order_id, sku, quantity, unit_price_cents) VALUES (:id, 'S', 1, 7)"
    first.run("BEGIN")
    first.run(add, id=order)
    second.run("SET lock_timeout = '50ms'")
    with pytest.raises(DatabaseError, match="lock timeout"):
        second.run(add, id=order)
    first.run("COMMIT")
    second.run(add, id=order)
    assert_totals_are_right(db)
    first.close()
    second.close()


def test_totals_are_right_after_a_truncate(service: Service, db: Database) -> None:
    service.seed()
    db.sql("TRUNCATE order_items")
    assert_totals_are_right(db)
    db.sql("TRUNCATE orders, order_items, events")
    assert_totals_are_right(db)


def test_totals_are_right_at_every_moment_while_many_write(service: Service, clients: Clients, db: Database) -> None:
    """Eight processes use the API while raw SQL writes as well; a checker looks at one snapshot after another."""
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
                # A full order makes the whole statement fail.
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
def test_the_audit_repairs_what_bypassed_the_triggers(service: Service, db: Database, statement: str) -> None:
    service.seed(customers=3)
    assert service.invoke("audit_totals", {})["repaired_orders"] == 0
    db.sql(f"SET session_replication_role = replica; {statement}; SET session_replication_role = origin")
    assert db.sql(WRONG_ORDERS) != [] or db.sql(WRONG_CUSTOMERS) != []
    result = service.invoke("audit_totals", {})
    assert result["repaired_orders"] + result["repaired_customers"] > 0
    assert_totals_are_right(db)
    again = service.invoke("audit_totals", {})
    assert (again["repaired_orders"], again["repaired_customers"]) == (0, 0)


def test_the_audit_creates_a_missing_row_of_totals(service: Service, db: Database) -> None:
    service.seed(customers=2)
    db.sql("DELETE FROM customer_totals WHERE customer_id = (SELECT min(id) FROM customers)")
    assert service.invoke("audit_totals", {})["repaired_customers"] == 1
    assert_totals_are_right(db)


class Expiring(LambdaContext):
    """Has time left for so many looks at the clock and none afterwards; the connection takes the first look."""

    def __init__(self, looks: int) -> None:
        super().__init__(900)
        self.looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self.looks -= 1
        return self.milliseconds if self.looks >= 0 else 0


def break_totals(db: Database, *statements: str) -> None:
    db.sql("; ".join(["SET session_replication_role = replica", *statements, "SET session_replication_role = origin"]))


def audit(service: Service, monkeypatch: pytest.MonkeyPatch, *, step: int, steps: int = 1_000_000) -> dict[str, Any]:
    """Runs the audit with time for so many steps of so many orders."""
    monkeypatch.setattr(service.module("audit_totals"), "ORDERS_PER_STEP", step)
    # In addition to the steps, the connection and the two purges look at the clock once each.
    result: dict[str, Any] = service.invoke("audit_totals", {}, Expiring(steps + 3))
    return result


def test_an_audit_that_was_stopped_continues_where_it_was_and_reaches_the_newest_orders(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.seed(customers=4, orders_per_customer=5)
    orders = [row[0] for row in db.sql("SELECT id FROM orders ORDER BY id")]
    break_totals(db, f"UPDATE orders SET total_cents = 1 WHERE id IN ({orders[0]}, {orders[-1]})")
    # A run has time for three steps of three orders, and 20 orders take seven steps.
    runs = [audit(service, monkeypatch, step=3, steps=3) for _ in range(3)]
    assert [run["repaired_orders"] for run in runs] == [1, 0, 1]
    assert [run["finished"] for run in runs] == [False, False, False]
    while not audit(service, monkeypatch, step=3, steps=3)["finished"]:
        pass
    assert_totals_are_right(db)


def test_a_step_whose_run_is_killed_is_done_by_the_next_run(service: Service, db: Database) -> None:
    service.seed(customers=4)
    break_totals(db, "UPDATE orders SET total_cents = 1")
    killed = db.connect("orders_auditor")
    killed.run("BEGIN")
    assert killed.run("SELECT repaired FROM audit_step(7)") == [[7]]
    killed.abandon()
    assert service.invoke("audit_totals", {})["repaired_orders"] == 20
    assert_totals_are_right(db)


def test_orders_written_during_a_pass_are_audited_by_it(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.seed(customers=1, orders_per_customer=4)
    assert not audit(service, monkeypatch, step=4, steps=1)["finished"]
    newest = service.order(service.customer()["id"])["id"]
    break_totals(db, f"UPDATE orders SET total_cents = 1 WHERE id = {newest}")
    assert audit(service, monkeypatch, step=4)["repaired_orders"] == 1


def test_a_customer_with_very_many_orders_is_a_step_of_its_own(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each range has as many customers as have fewer than ten orders together, or a single one."""
    few, none, hot, last = (service.customer(f"{name}@example.com")["id"] for name in ("few", "none", "hot", "last"))
    for customer, count in ((few, 3), (hot, 25), (last, 2)):
        db.sql("INSERT INTO orders (customer_id) SELECT :customer FROM generate_series(1, :n)", customer=customer, n=count)
    ends, after = [], 0
    while end := db.value("SELECT last_customer_to_audit(:after, 10)", after=after):
        ends.append(end)
        after = end
    assert ends == [none, hot, last]
    break_totals(db, "UPDATE customer_totals SET order_count = 7")
    assert audit(service, monkeypatch, step=10)["repaired_customers"] == 4
    assert_totals_are_right(db)


def test_customers_without_orders_are_ranged_by_their_number(service: Service, db: Database) -> None:
    service.seed(customers=7, orders_per_customer=0)
    customers = [row[0] for row in db.sql("SELECT id FROM customers ORDER BY id")]
    assert db.value("SELECT last_customer_to_audit(0, 3)") == customers[2]
    assert db.value("SELECT last_customer_to_audit(:after, 3)", after=customers[5]) == customers[6]
    assert db.value("SELECT last_customer_to_audit(:after, 3)", after=customers[6]) is None


def test_a_step_over_customers_only_reads_the_orders_of_its_customers(service: Service, db: Database) -> None:
    service.seed(customers=1500, orders_per_customer=10, items_per_order=1)
    db.sql("ANALYZE")
    customers = [row[0] for row in db.sql("SELECT id FROM customers ORDER BY id DESC LIMIT 10")]
    theirs = db.value("SELECT count(*) FROM orders WHERE customer_id = ANY (:customers)", customers=customers)
    rows_read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'orders'"
    db.sql("BEGIN")
    before = db.value(rows_read)
    db.sql("SELECT repair_customer_totals(:first, :last)", first=customers[-1], last=customers[0])
    read = db.value(rows_read) - before
    db.sql("COMMIT")
    # The planner itself reads a few rows; reading all other orders would take 14,900.
    assert theirs <= read < 2 * theirs


def test_the_lag_of_the_audit_is_the_age_of_the_last_whole_pass(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service.seed(customers=2)
    db.sql("UPDATE audit_progress SET audited_until = now() - interval '5 hours'")
    assert audit(service, monkeypatch, step=3, steps=1)["lag_seconds"] >= 5 * 3600
    # The current pass started two hours ago, so its end will bring the audit up to that time.
    db.sql("UPDATE audit_progress SET pass_began_at = now() - interval '2 hours'")
    result = audit(service, monkeypatch, step=3)
    assert result["finished"]
    assert 2 * 3600 <= result["lag_seconds"] < 5 * 3600
    printed = capsys.readouterr().out
    assert f'"AuditLag":[{result["lag_seconds"]}.0]' in printed
    for metric in ("AuditSteps", "TotalsDrift", "PurgedKeys"):
        assert f'"{metric}":[' in printed


def test_keys_are_purged_in_batches_even_without_time_for_the_recount(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db.sql("""
        INSERT INTO idempotency_keys (caller, path, key, request_hash, location, body, created_at)
        SELECT '', '/', n, '', '', '', now() - make_interval(hours => 39 + n, mins => 30) FROM generate_series(1, 30) AS n
    """)
    module = service.module("audit_totals")
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 4)
    # Enough for the connection and four of the six batches.
    first = service.invoke("audit_totals", {}, Expiring(5))
    assert (first["purged_keys"], first["finished"]) == (16, False)
    # No step was completed; if that persisted, an alarm would fire.
    assert '"AuditSteps":[0.0]' in capsys.readouterr().out
    assert db.value("SELECT max(key::integer) FROM idempotency_keys") == 14
    monkeypatch.setattr(module, "MOST_BATCHES", 1)
    assert service.invoke("audit_totals", {})["purged_keys"] == 4
    monkeypatch.setattr(module, "MOST_BATCHES", 200)
    assert service.invoke("audit_totals", {})["purged_keys"] == 2
    assert db.value("SELECT count(*) FROM idempotency_keys") == 8


def test_drift_is_reported_even_if_the_run_fails_afterwards(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service.seed(customers=1, orders_per_customer=2)
    break_totals(db, "UPDATE orders SET total_cents = 1")
    db.sql("ALTER VIEW counted_customer_totals RENAME TO away")
    try:
        with pytest.raises(Exception, match="counted_customer_totals"):
            audit(service, monkeypatch, step=100)
    finally:
        db.sql("ALTER VIEW away RENAME TO counted_customer_totals")
    printed = capsys.readouterr().out
    assert '"TotalsDrift":[2.0]' in printed
    assert '"AuditSteps":[1.0]' in printed


def test_the_auditor_may_read_its_progress_but_only_change_it_by_a_step(db: Database) -> None:
    connection = db.connect("orders_auditor")
    assert connection.run("SELECT last_id FROM audit_progress") == [[0]]
    for statement in ("UPDATE audit_progress SET last_id = 0", "DELETE FROM audit_progress"):
        with pytest.raises(DatabaseError, match="permission denied"):
            connection.run(statement)
    connection.close()
    for role in ("orders_app", "orders_seeder"):
        connection = db.connect(role)
        with pytest.raises(DatabaseError, match="permission denied"):
            connection.run("SELECT repaired FROM audit_step(1)")
        connection.close()
