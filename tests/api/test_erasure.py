"""Erasing a customer: the address and the name go from everywhere, and nothing else does."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Clients, Database, Service, assert_problem

ADDRESS, NAME = "Very.Private@example.com", "Very Private"
ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}
TEXTS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name IN (SELECT relname FROM pg_class WHERE relkind = 'r')
  AND data_type IN ('text', 'json', 'jsonb', 'ARRAY')
"""


def places(db: Database) -> Iterator[str]:
    """Tables and columns that hold the address or the name, in any letter case."""
    for table, column in db.sql(TEXTS):
        found = f"SELECT count(*) FROM {table} WHERE {column}::text ILIKE ANY (ARRAY['%very.private%', '%very private%'])"
        if db.value(found):
            yield f"{table}.{column}"


@pytest.fixture
def customer(service: Service) -> dict[str, Any]:
    """One that has left its address wherever it can."""
    headers = {"idempotency-key": "key-1"}
    made = service.http("POST", "/api/customers/", {"email": ADDRESS, "name": NAME}, headers=headers).json
    customer: dict[str, Any] = service.http("PATCH", f"/api/customers/{made['id']}/", {"name": f"{NAME} II"}).json
    order = service.http("POST", "/api/orders/", {"customer_id": made["id"], "items": [ITEM]}, headers=headers).json
    service.http("POST", f"/api/orders/{order['id']}/items/", ITEM, headers=headers)
    return customer


def test_nothing_that_is_kept_names_the_customer(service: Service, db: Database, customer: dict[str, Any]) -> None:
    other = service.customer("bob@example.com", "Bob")
    assert set(places(db)) >= {"customers.email", "customers.name", "events.changes", "idempotency_keys.body"}
    before = service.http("GET", "/api/orders/").json["results"]
    erased = service.http("POST", f"/api/customers/{customer['id']}/erase/")
    placeholder = {"email": f"erased-{customer['id']}@erased.invalid", "name": "erased"}
    assert (erased.status, erased.json) == (200, {**customer, **placeholder})
    assert list(places(db)) == []
    [order] = service.http("GET", "/api/orders/").json["results"]
    assert order == {**before[0], "customer": {"id": customer["id"], **placeholder}}
    assert service.http("GET", "/api/orders/summary/").json["results"][0]["total_spent_cents"] == 600
    assert service.http("GET", f"/api/customers/{other['id']}/").json == other


def test_it_is_an_event_and_repeating_it_is_none(service: Service, customer: dict[str, Any]) -> None:
    answers = [service.http("POST", f"/api/customers/{customer['id']}/erase/", subject="officer") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert len({(answer.text, answer.headers["etag"]) for answer in answers}) == 1
    events = service.http("GET", "/api/events/", query={"customer_id": customer["id"], "type": "customer.erased"}).json
    assert [(event["actor"], event["changes"]) for event in events["results"]] == [("officer", {})]
    [created] = service.http("GET", "/api/events/", query={"type": "customer.created"}).json["results"]
    assert created["changes"] == {
        "email": [None, f"erased-{customer['id']}@erased.invalid"],
        "name": [None, "erased"],
    }


def test_the_same_key_gets_the_erased_answer(service: Service, customer: dict[str, Any]) -> None:
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    headers = {"idempotency-key": "key-1"}
    again = service.http("POST", "/api/customers/", {"email": ADDRESS, "name": NAME}, headers=headers)
    assert (again.status, again.headers["idempotency-replayed"], again.json["name"]) == (201, "true", "erased")
    again = service.http("POST", "/api/orders/", {"customer_id": customer["id"], "items": [ITEM]}, headers=headers)
    assert again.json["customer"]["email"] == f"erased-{customer['id']}@erased.invalid"


def test_the_address_is_free_again_and_the_placeholder_is_not(service: Service, customer: dict[str, Any]) -> None:
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    again = service.http("POST", "/api/customers/", {"email": ADDRESS.lower(), "name": NAME})
    assert again.status == 201
    for number in (customer["id"], again.json["id"], again.json["id"] + 1):
        taken = {"email": f"Erased-{number}@erased.invalid", "name": "x"}
        assert service.http("POST", "/api/customers/", taken).status in (409, 422)


def test_an_erased_customer_can_buy_but_not_be_renamed(service: Service, customer: dict[str, Any]) -> None:
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    assert_problem(service.http("PATCH", f"/api/customers/{customer['id']}/", {"name": "Back"}), 409)
    order = service.http("POST", "/api/orders/", {"customer_id": customer["id"], "items": [ITEM]})
    assert (order.status, order.json["customer"]["name"]) == (201, "erased")
    assert_problem(service.http("POST", "/api/customers/999999/erase/"), 404)


def test_no_answer_that_is_stored_meanwhile_escapes(
    service: Service, db: Database, clients: Clients, customer: dict[str, Any]
) -> None:
    """Writers store answers that name the customer, while it is erased."""
    body = {"customer_id": customer["id"], "items": [ITEM]}
    requests: list[Any] = [
        (("POST", "/api/orders/", body), {"headers": {"idempotency-key": f"order-{number}"}}) for number in range(40)
    ]
    requests.insert(20, (("POST", f"/api/customers/{customer['id']}/erase/"), {}))
    assert {answer.status for answer in clients.http(requests)} == {200, 201}
    assert list(places(db)) == []


def test_nobody_takes_the_placeholder_of_a_customer_before_the_erasure_does(service: Service, db: Database) -> None:
    """Who had it would count as erased, so that the name could neither be erased nor changed any more."""
    customer = service.customer(ADDRESS, NAME)["id"]
    for number in (customer, customer + 1):
        taken = {"email": f"Erased-{number}@ERASED.invalid".lower(), "name": NAME}
        assert_problem(service.http("PATCH", f"/api/customers/{customer}/", taken), 422, "email")
        assert_problem(service.http("POST", "/api/customers/", taken), 422, "email")
    assert service.http("POST", f"/api/customers/{customer}/erase/").json["name"] == "erased"
    assert list(places(db)) == []


def test_a_customer_that_was_deleted_can_still_be_erased(service: Service, db: Database) -> None:
    """The events of a deleted customer stay, and so would the address in them."""
    customer = service.http("POST", "/api/customers/", {"email": ADDRESS, "name": NAME}, headers={"idempotency-key": "k"}).json
    service.http("DELETE", f"/api/customers/{customer['id']}/")
    assert set(places(db)) == {"events.changes", "idempotency_keys.body"}
    for _ in range(2):
        erased = service.http("POST", f"/api/customers/{customer['id']}/erase/", subject="officer")
        assert (erased.status, erased.text) == (204, "")
    assert list(places(db)) == []
    events = service.http("GET", "/api/events/", query={"customer_id": customer["id"]}).json["results"]
    assert [(event["type"], event["sequence"], event["actor"]) for event in events] == [
        ("customer.created", 1, None),
        ("customer.deleted", 2, None),
        ("customer.erased", 3, "officer"),
    ]
    assert events[1]["changes"] == {"email": [f"erased-{customer['id']}@erased.invalid", None], "name": ["erased", None]}


def test_one_that_was_erased_before_it_was_deleted_is_not_erased_again(service: Service, customer: dict[str, Any]) -> None:
    other = service.customer("bob@example.com", "Bob")["id"]
    service.http("POST", f"/api/customers/{other}/erase/")
    service.http("DELETE", f"/api/customers/{other}/")
    assert service.http("POST", f"/api/customers/{other}/erase/").status == 204
    events = service.http("GET", "/api/events/", query={"customer_id": other}).json["results"]
    assert [event["type"] for event in events] == ["customer.created", "customer.erased", "customer.deleted"]


def test_concurrent_erasures_of_a_deleted_customer_are_one(service: Service, clients: Clients, db: Database) -> None:
    customer = service.customer(ADDRESS, NAME)["id"]
    service.http("DELETE", f"/api/customers/{customer}/")
    answers = clients.http([(("POST", f"/api/customers/{customer}/erase/"), {})] * 24)
    assert {answer.status for answer in answers} == {204}
    assert db.value("SELECT count(*) FROM events WHERE type = 'customer.erased'") == 1
