"""Several clients at once, each from its own process."""

from typing import Any

import pytest

from drill.servers import wait_until
from tests.harness import Clients, Database, Requests, Service, assert_problem

ROUNDS = 60


def test_fifty_concurrent_cancellations_cancel_once(service: Service, clients: Clients, db: Database) -> None:
    order = service.order(service.customer()["id"])
    before = db.value("SELECT xmin::text FROM customers")
    answers = clients.http([(("POST", f"/api/orders/{order['id']}/cancel/"), {})] * 50)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["status"] for answer in answers} == {"cancelled"}
    assert db.value("SELECT count(order_id) FROM events WHERE type = 'order.cancelled'") == 1
    assert db.value("SELECT xmin::text FROM customers") == before


def test_exactly_one_of_cancel_and_ship_wins(service: Service, clients: Clients) -> None:
    customer = service.customer()
    orders = [service.order(customer["id"], status="paid")["id"] for _ in range(ROUNDS)]
    answers = clients.http(
        [(("POST", f"/api/orders/{order}/{action}/"), {}) for order in orders for action in ("cancel", "ship")]
    )
    for cancel, ship in zip(answers[::2], answers[1::2], strict=True):
        assert sorted([cancel.status, ship.status]) == [200, 409]


def test_thirty_items_added_at_once_are_all_stored(service: Service, clients: Clients) -> None:
    order = service.order(service.customer()["id"], (1, 1))
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 10}
    answers = clients.http([(("POST", f"/api/orders/{order['id']}/items/", item), {})] * 30)
    assert {answer.status for answer in answers} == {201}
    # Each answer shows a state that existed: the items add up to the total.
    for answer in answers:
        assert answer.json["total_cents"] == sum(i["quantity"] * i["unit_price_cents"] for i in answer.json["items"])
    assert sorted(len(answer.json["items"]) for answer in answers) == list(range(2, 32))
    assert service.http("GET", f"/api/orders/{order['id']}/").json["total_cents"] == 301


def test_concurrent_items_and_transitions_never_show_a_torn_order(service: Service, clients: Clients) -> None:
    customer = service.customer()
    item = {"sku": "A", "quantity": 2, "unit_price_cents": 10}
    orders = [service.order(customer["id"])["id"] for _ in range(20)]
    requests: Requests = []
    for order in orders:
        add = (("POST", f"/api/orders/{order}/items/", item), dict[str, Any]())
        requests += [add, (("POST", f"/api/orders/{order}/pay/"), {}), add]
    for answer in clients.http(requests):
        assert answer.status in (200, 201, 409)
        if answer.status != 409:
            assert answer.json["total_cents"] == sum(i["quantity"] * i["unit_price_cents"] for i in answer.json["items"])


def test_a_customer_edited_or_deleted_while_orders_are_cancelled(service: Service, clients: Clients, db: Database) -> None:
    customer = service.customer()
    orders = [service.order(customer["id"])["id"] for _ in range(ROUNDS)]
    path = f"/api/customers/{customer['id']}/"
    requests: Requests = [(("POST", f"/api/orders/{order}/cancel/"), {}) for order in orders]
    requests += [(("PATCH", path, {"name": f"Name {n}"}), {}) for n in range(ROUNDS)] + [(("DELETE", path), {})] * ROUNDS
    requests = [requests[i * ROUNDS + n] for n in range(ROUNDS) for i in range(3)]
    answers = clients.http(requests)
    assert [answer.status for answer in answers] == [200, 200, 409] * ROUNDS
    assert (
        db.value("SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id WHERE status = 'cancelled'")
        == ROUNDS
    )


@pytest.mark.parametrize("round_", range(3))
def test_an_order_created_while_its_customer_is_deleted(service: Service, clients: Clients, db: Database, round_: int) -> None:
    customers = [service.customer(f"c{n}@example.com")["id"] for n in range(20)]
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
    requests: Requests = []
    for customer in customers:
        requests.append((("POST", "/api/orders/", {"customer_id": customer, "items": [item]}), {}))
        requests.append((("DELETE", f"/api/customers/{customer}/"), {}))
    answers = clients.http(requests)
    for create, delete in zip(answers[::2], answers[1::2], strict=True):
        assert (create.status, delete.status) in [(201, 409), (422, 204)]
        if create.status == 422:
            assert_problem(create, 422, "customer_id")
    assert db.value("SELECT count(*) FROM customers") == db.value("SELECT count(*) FROM orders")


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}])
def test_an_order_that_waits_for_the_deletion_of_its_customer_is_refused_on_customer_id(
    service: Service, clients: Clients, db: Database, headers: dict[str, str]
) -> None:
    customer = service.customer()["id"]
    deletion = db.connect("orders_app")
    deletion.run("BEGIN")
    deletion.run("DELETE FROM customers")
    body = {"customer_id": customer, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]}
    answer = clients.submit((("POST", "/api/orders/", body), {"headers": headers}))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%new_order%'"
    wait_until(lambda: db.value(waiting) == 1, "The order's wait for the customer")
    deletion.run("COMMIT")
    deletion.close()
    problem = assert_problem(answer.result(), 422, "customer_id")
    assert problem["detail"] == f"customer_id: there is no customer {customer}"
    assert db.sql("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM idempotency_keys)") == [[0, 0]]


def test_of_thirty_concurrent_items_only_as_many_are_added_as_fit(service: Service, clients: Clients, db: Database) -> None:
    order = service.order(service.customer()["id"], *[(1, 1)] * 490)
    item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
    answers = clients.http([(("POST", f"/api/orders/{order['id']}/items/", item), {})] * 30)
    assert sorted(answer.status for answer in answers) == [201] * 10 + [409] * 20
    assert len(service.http("GET", f"/api/orders/{order['id']}/").json["items"]) == 500
