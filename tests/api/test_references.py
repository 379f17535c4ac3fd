"""References: a client's own name for an order, which no other order has."""

from typing import Any

import pytest

from tests.harness import Answer, Clients, Database, Service, assert_problem

ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}


@pytest.fixture
def body(service: Service) -> dict[str, Any]:
    return {"customer_id": service.customer()["id"], "items": [ITEM]}


def post(service: Service, body: dict[str, Any], key: str | None = None, **options: Any) -> Answer:
    return service.http("POST", "/api/orders/", body, headers={"Idempotency-Key": key} if key else {}, **options)


def found(service: Service, **query: Any) -> list[int]:
    answer = service.http("GET", "/api/orders/", query=query)
    assert answer.status == 200, answer.text
    return [order["id"] for order in answer.json["results"]]


def test_every_answer_shows_the_reference(service: Service, body: dict[str, Any]) -> None:
    order = post(service, {**body, "reference": "PO-1"}).json
    path = f"/api/orders/{order['id']}/"
    answers = [
        order,
        service.http("GET", path).json,
        service.http("GET", "/api/orders/").json["results"][0],
        service.http("POST", f"{path}items/", ITEM).json,
        service.http("PATCH", f"{path}items/{order['items'][0]['id']}/", {"quantity": 3}).json,
        service.http("DELETE", f"{path}items/{order['items'][0]['id']}/").json,
        service.http("PATCH", path, {"metadata": {"a": "b"}}).json,
        service.http("POST", f"{path}pay/").json,
        service.http("POST", f"{path}pay/").json,
    ]
    assert [answer["reference"] for answer in answers] == ["PO-1"] * len(answers)


def test_an_order_without_a_reference_has_none(service: Service, body: dict[str, Any]) -> None:
    assert [post(service, body).json["reference"] for _ in range(2)] == [None, None]


def test_a_taken_reference_is_refused_with_the_order_that_has_it(service: Service, db: Database, body: dict[str, Any]) -> None:
    first = post(service, {**body, "reference": "PO-1"}).json["id"]
    for key in (None, "another"):
        problem = assert_problem(post(service, {**body, "reference": "PO-1"}, key), 409)
        assert problem["detail"] == f"Order {first} already has the reference PO-1."
    assert db.sql("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items)") == [[1, 1]]
    assert db.sql("SELECT (SELECT count(*) FROM order_events), (SELECT count(*) FROM idempotency_keys)") == [[1, 0]]


def test_a_cancelled_order_keeps_its_reference(service: Service, body: dict[str, Any]) -> None:
    order = post(service, {**body, "reference": "PO-1"}).json["id"]
    service.act(order, "cancel")
    assert_problem(post(service, {**body, "reference": "PO-1"}), 409)


@pytest.mark.parametrize("other", ["po-1", "PO-1.", "PO-١", "ＰＯ-1"])
def test_references_are_compared_exactly(service: Service, body: dict[str, Any], other: str) -> None:
    orders = [post(service, {**body, "reference": reference}).json["id"] for reference in ("PO-1", other)]
    assert [found(service, reference=reference) for reference in ("PO-1", other)] == [[order] for order in orders]


def test_a_refused_reference_leaves_the_key_unused(service: Service, body: dict[str, Any]) -> None:
    post(service, {**body, "reference": "PO-1"})
    assert_problem(post(service, {**body, "reference": "PO-1"}, "key"), 409)
    assert post(service, {**body, "reference": "PO-2"}, "key").status == 201


def test_the_same_key_and_reference_return_the_first_answer_again(service: Service, body: dict[str, Any]) -> None:
    first, second = (post(service, {**body, "reference": "PO-1"}, "key") for _ in range(2))
    assert (first.status, second.status, second.text) == (201, 201, first.text)
    assert second.headers["idempotency-replayed"] == "true"


def test_the_same_key_with_a_different_order_of_that_reference_names_the_key(service: Service, body: dict[str, Any]) -> None:
    post(service, {**body, "reference": "PO-1"}, "key")
    assert_problem(post(service, {**body, "reference": "PO-1", "items": [ITEM, ITEM]}, "key"), 422, "Idempotency-Key")
    assert_problem(post(service, {**body, "reference": "PO-2"}, "key"), 422, "Idempotency-Key")
    assert_problem(post(service, {**body, "reference": "PO-1"}, "key", subject="somebody else"), 409)


def test_of_concurrent_orders_with_one_reference_one_is_created_and_named_to_the_others(
    service: Service, clients: Clients, db: Database, body: dict[str, Any]
) -> None:
    requests = [
        (("POST", "/api/orders/", {**body, "reference": "PO-1"}), {"headers": {"Idempotency-Key": f"key-{n}"}})
        for n in range(24)
    ]
    answers = clients.http(requests)
    [created] = [answer for answer in answers if answer.status == 201]
    for answer in answers:
        if answer is not created:
            problem = assert_problem(answer, 409)
            assert problem["detail"] == f"Order {created.json['id']} already has the reference PO-1."
    assert db.sql("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM idempotency_keys)") == [[1, 1]]


def test_concurrent_retries_under_one_key_all_get_the_order(
    service: Service, clients: Clients, db: Database, body: dict[str, Any]
) -> None:
    requests = [(("POST", "/api/orders/", {**body, "reference": "PO-1"}), {"headers": {"Idempotency-Key": "key"}})] * 24
    answers = clients.http(requests)
    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert db.value("SELECT count(*) FROM orders") == 1


def test_an_order_is_found_by_its_reference_and_the_other_filters(service: Service, body: dict[str, Any]) -> None:
    orders = {name: post(service, {**body, "reference": name}).json for name in ("PO-1", "PO-2", "a,b&c=%_+é")}
    for name, order in orders.items():
        assert service.http("GET", "/api/orders/", query={"reference": name}).json == {
            "results": [order],
            "next": None,
            "next_cursor": None,
        }
    order = orders["PO-1"]
    service.act(order["id"], "pay")
    fitting = {"status": "paid", "email": "ALICE", "customer_id": order["customer"]["id"], "limit": 1}
    assert found(service, reference="PO-1", **fitting) == [order["id"]]
    for name, value in {"status": "pending", "email": "bob", "customer_id": order["customer"]["id"] + 1}.items():
        assert found(service, reference="PO-1", **{**fitting, name: value}) == []
    assert found(service, reference="PO-") == []


WRONG = {
    "empty": "",
    "65 characters": "x" * 65,
    "a space": "PO 1",
    "a blank at the end": "PO-1 ",
    "a no-break space": "PO\u00a01",
    "NUL": "PO\x00",
    "a line break": "PO\n1",
    "a zero-width space": "PO\u200b1",
    "a bidirectional control": "PO\u202e1",
}


@pytest.mark.parametrize("reference", WRONG.values(), ids=WRONG)
def test_a_reference_is_1_to_64_visible_characters(
    service: Service, db: Database, body: dict[str, Any], reference: str
) -> None:
    assert_problem(post(service, {**body, "reference": reference}), 422, "reference")
    assert_problem(service.http("GET", "/api/orders/", query={"reference": reference}), 422, "reference")
    assert db.value("SELECT count(*) FROM orders") == 0


@pytest.mark.parametrize("text", ["null", "1", '["PO-1"]', '"a\\ud800b"', '"\\u0000"'])
def test_a_reference_is_a_text(service: Service, body: dict[str, Any], text: str) -> None:
    raw = '{"customer_id": %d, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}], "reference": %s}'
    assert_problem(service.http("POST", "/api/orders/", raw % (body["customer_id"], text)), 422, "reference")


@pytest.mark.parametrize(
    "reference", ["x", "x" * 64, "😀" * 64, "__proto__", "null", "'; DROP TABLE orders; --".replace(" ", "_")]
)
def test_any_visible_characters_are_kept(service: Service, body: dict[str, Any], reference: str) -> None:
    order = post(service, {**body, "reference": reference}).json
    assert order["reference"] == reference
    assert found(service, reference=reference) == [order["id"]]


def test_a_reference_never_changes(service: Service, body: dict[str, Any]) -> None:
    path = f"/api/orders/{post(service, {**body, 'reference': 'PO-1'}).json['id']}/"
    for change in ({"reference": "PO-2"}, {"reference": None}, {"reference": "PO-1", "metadata": {}}):
        assert_problem(service.http("PATCH", path, change), 422, "reference")
    assert service.http("GET", path).json["reference"] == "PO-1"
