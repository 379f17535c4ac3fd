"""Idempotency-Key: one effect and the same answer, even under concurrency and after a crash."""

import hashlib
from typing import Any

import pytest

from tests.harness import Answer, Clients, Database, Service, assert_problem

ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}


def post(service: Service, key: str, body: dict[str, Any], path: str = "/api/customers/", **options: Any) -> Answer:
    return service.http("POST", path, body, headers={"Idempotency-Key": key}, **options)


def alike(first: Answer, second: Answer) -> bool:
    return (first.status, first.text, first.headers["location"]) == (second.status, second.text, second.headers["location"])


def test_the_same_key_and_body_return_the_first_answer_again(service: Service, db: Database) -> None:
    customer = service.customer()
    for path, body in [
        ("/api/customers/", {"email": "bob@example.com", "name": "Bob"}),
        ("/api/orders/", {"customer_id": customer["id"], "items": [ITEM]}),
        (f"/api/orders/{service.order(customer['id'])['id']}/items/", ITEM),
        ("/api/dev/seed/", {"customers": 1}),
    ]:
        first, second = post(service, "key", body, path), post(service, "key", body, path.removesuffix("/"))
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert alike(first, second)
    counts = "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items)"
    assert db.sql(counts) == [[2, 2, 3]]


def test_the_first_answer_is_repeated_even_after_the_order_has_changed(service: Service) -> None:
    body = {"customer_id": service.customer()["id"], "items": [ITEM]}
    first = post(service, "key", body, "/api/orders/")
    service.act(first.json["id"], "cancel")
    assert alike(post(service, "key", body, "/api/orders/"), first)


def test_the_key_may_be_quoted_and_the_body_formatted_differently(service: Service) -> None:
    first = service.http("POST", "/api/customers/", '{"email": "a@b.de", "name": "A"}', headers={"Idempotency-Key": '"key"'})
    second = service.http("POST", "/api/customers/", '{"name":"A",\n"email":"a@b.de"}', headers={"Idempotency-Key": "key"})
    assert alike(first, second)


def test_the_same_key_with_another_body_is_refused(service: Service, db: Database) -> None:
    post(service, "key", {"email": "a@b.de", "name": "A"})
    assert_problem(post(service, "key", {"email": "b@b.de", "name": "A"}), 422, "Idempotency-Key")
    assert_problem(post(service, "key", {"email": "a@b.de", "name": "B"}), 422, "Idempotency-Key")
    assert db.value("SELECT count(*) FROM customers") == 1


def test_keys_of_other_callers_and_other_paths_are_independent(service: Service) -> None:
    body = {"email": "a@b.de", "name": "A"}
    assert post(service, "key", body, subject="ann").status == 201
    assert_problem(post(service, "key", body, subject="bob"), 409)
    assert post(service, "key", {"customers": 1}, "/api/dev/seed/", subject="ann").status == 202


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256, '""'])
def test_an_invalid_key_is_refused(service: Service, db: Database, key: str) -> None:
    answer = post(service, key, {"email": "a@b.de", "name": "A"})
    assert_problem(answer, 422, "Idempotency-Key")
    assert db.value("SELECT count(*) FROM customers") == 0


def test_a_key_of_255_characters_is_accepted(service: Service) -> None:
    assert alike(*(post(service, "k" * 255, {"email": "a@b.de", "name": "A"}) for _ in range(2)))


def test_a_refused_request_leaves_its_key_unused(service: Service) -> None:
    customer = service.customer()
    assert_problem(post(service, "key", {"customer_id": 999, "items": [ITEM]}, "/api/orders/"), 422, "customer_id")
    assert post(service, "key", {"customer_id": customer["id"], "items": [ITEM]}, "/api/orders/").status == 201


def test_fifty_concurrent_requests_create_one_order(service: Service, clients: Clients, db: Database) -> None:
    body = {"customer_id": service.customer()["id"], "items": [ITEM, ITEM]}
    answers = clients.http([(("POST", "/api/orders/", body), {"headers": {"Idempotency-Key": "key"}})] * 50)
    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert db.sql("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items)") == [[1, 2]]
    assert db.value("SELECT count(order_id) FROM events") == 1


def test_fifty_concurrent_requests_create_one_customer(service: Service, clients: Clients, db: Database) -> None:
    body = {"email": "a@b.de", "name": "A"}
    answers = clients.http([(("POST", "/api/customers/", body), {"headers": {"Idempotency-Key": "key"}})] * 50)
    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert db.value("SELECT count(*) FROM customers") == 1


SUBJECTS = {
    "255 characters": "s" * 255,
    "256 characters": "s" * 256,
    "6,000 characters": "".join(chr(0x4E00 + n) for n in range(6000)),
    "a line break": "a\nb",
    "NUL": "a\x00b",
    "half a surrogate pair": "a\ud800b",
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_any_subject_of_a_token_can_act_and_is_distinguished(service: Service, subject: str) -> None:
    customer = service.customer()["id"]
    body = {"customer_id": customer, "items": [ITEM]}
    first, second = (post(service, "key", body, "/api/orders/", subject=subject) for _ in range(2))
    assert alike(first, second)
    other = post(service, "key", body, "/api/orders/", subject=f"{subject[:-1]}!")
    assert (other.status, other.json["id"] == first.json["id"]) == (201, False)
    path = f"/api/orders/{first.json['id']}/"
    answers = [
        post(service, "key", ITEM, f"{path}items/", subject=subject),
        service.http("PATCH", f"{path}items/{first.json['items'][0]['id']}/", {"quantity": 3}, subject=subject),
        service.http("DELETE", f"{path}items/{first.json['items'][0]['id']}/", subject=subject),
        service.http("POST", f"{path}pay/", subject=subject),
        post(service, "key", {"email": "b@b.de", "name": "B"}, subject=subject),
        post(service, "key", {"customers": 1}, "/api/dev/seed/", subject=subject),
        service.http("DELETE", f"/api/customers/{customer}/", subject=subject),
    ]
    assert [answer.status for answer in answers] == [201, 200, 200, 200, 201, 202, 409]
    actors = {event["actor"] for event in service.http("GET", f"{path}events/").json["results"]}
    hashed = f"sha256:{hashlib.sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()}"
    assert actors == {subject if subject == "s" * 255 else hashed}


def test_keys_are_bound_to_a_single_path_of_an_order(service: Service) -> None:
    order = service.order(service.customer()["id"])["id"]
    added = post(service, "key", ITEM, f"/api/orders/{order}/items/")
    for spelling in (f"0{order}", f"+{order}", f"{order}.0", f" {order}", f"{order}\n"):
        assert post(service, "key", ITEM, f"/api/orders/{spelling}/items/").status in (404, 422)
    assert alike(post(service, "key", ITEM, f"/api/orders/{order}/items"), added)
    assert len(service.http("GET", f"/api/orders/{order}/").json["items"]) == 2
