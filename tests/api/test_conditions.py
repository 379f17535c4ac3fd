"""ETag, If-None-Match and If-Match."""

from collections.abc import Callable

import pytest

from tests.harness import Answer, Clients, Database, Service, assert_problem


@pytest.fixture
def order(service: Service) -> str:
    return f"/api/orders/{service.order(service.customer()['id'], (1, 1), (1, 2))['id']}/"


def customer_of(service: Service, order: str) -> str:
    return f"/api/customers/{service.http('GET', order).json['customer']['id']}/"


def etag(service: Service, path: str) -> str:
    return service.http("GET", path).headers["etag"]


def test_a_client_that_has_the_document_gets_304(service: Service, order: str) -> None:
    for path in (order, customer_of(service, order)):
        current = etag(service, path)
        for header in (current, f"W/{current}", f'"other", {current}', "*"):
            answer = service.http("GET", path, headers={"If-None-Match": header})
            assert (answer.status, answer.text, answer.headers["etag"]) == (304, "", current)
        assert service.http("GET", path, headers={"If-None-Match": '"other"'}).status == 200


def test_every_change_of_the_document_changes_its_etag(service: Service, db: Database, order: str) -> None:
    document = service.http("GET", order).json
    seen = [etag(service, order)]
    for change in (
        lambda: service.http("POST", f"{order}items/", {"sku": "A", "quantity": 1, "unit_price_cents": 0}),
        lambda: service.http("PATCH", f"{order}items/{document['items'][0]['id']}/", {"quantity": 2}),
        lambda: service.http("DELETE", f"{order}items/{document['items'][0]['id']}/"),
        lambda: service.http("PATCH", f"/api/customers/{document['customer']['id']}/", {"name": "New"}),
        lambda: service.http("PATCH", order, {"metadata": {"a": "b"}}),
        lambda: service.http("PATCH", f"/api/customers/{document['customer']['id']}/", {"metadata": {"a": "b"}}),
        lambda: db.sql("UPDATE order_items SET sku = 'B'"),
        lambda: db.sql("INSERT INTO order_items (order_id, sku, quantity, unit_price_cents) SELECT id, 'F', 1, 0 FROM orders"),
        lambda: service.act(document["id"], "pay"),
    ):
        change()
        seen.append(etag(service, order))
    assert len(set(seen)) == len(seen)


def test_the_answer_to_a_change_has_the_etag_of_the_next_read(service: Service, order: str) -> None:
    item = service.http("GET", order).json["items"][0]["id"]
    customer = customer_of(service, order)
    changes: list[tuple[str, Callable[[], Answer]]] = [
        (order, lambda: service.http("POST", f"{order}items/", {"sku": "A", "quantity": 1, "unit_price_cents": 7})),
        (order, lambda: service.http("PATCH", f"{order}items/{item}/", {"quantity": 2})),
        (order, lambda: service.http("PATCH", f"{order}items/{item}/", {"quantity": 2})),
        (order, lambda: service.http("DELETE", f"{order}items/{item}/")),
        (order, lambda: service.http("PATCH", order, {"metadata": {"a": "b"}})),
        (order, lambda: service.http("PATCH", order, {"metadata": {"a": "b"}})),
        (order, lambda: service.http("POST", f"{order}pay/")),
        (customer, lambda: service.http("PATCH", customer, {"name": "New"})),
    ]
    for path, change in changes:
        answer = change()
        read = service.http("GET", path)
        assert (answer.headers["etag"], answer.json) == (read.headers["etag"], read.json)


def test_a_change_with_a_stale_etag_is_refused_and_changes_nothing(service: Service, order: str) -> None:
    stale = etag(service, order)
    item = f"{order}items/{service.http('GET', order).json['items'][0]['id']}/"
    service.http("PATCH", item, {"quantity": 2})
    before = service.http("GET", order).json
    headers = {"If-Match": stale}
    assert_problem(
        service.http("POST", f"{order}items/", {"sku": "A", "quantity": 1, "unit_price_cents": 1}, headers=headers), 412
    )
    assert_problem(service.http("PATCH", item, {"quantity": 3}, headers=headers), 412)
    assert_problem(service.http("DELETE", item, headers=headers), 412)
    for action in ("pay", "ship", "deliver", "cancel"):
        assert_problem(service.http("POST", f"{order}{action}/", headers=headers), 412)
    assert service.http("GET", order).json == before


def test_a_change_of_a_customer_with_a_stale_etag_is_refused(service: Service) -> None:
    path = f"/api/customers/{service.customer()['id']}/"
    stale = etag(service, path)
    service.http("PATCH", path, {"name": "New"}, headers={"If-Match": stale})
    assert_problem(service.http("PATCH", path, {"name": "Newer"}, headers={"If-Match": stale}), 412)
    assert_problem(service.http("DELETE", path, headers={"If-Match": stale}), 412)
    assert service.http("DELETE", path, headers={"If-Match": f'"x", {etag(service, path)}'}).status == 204


@pytest.mark.parametrize("header", ["*", "{}", '"x", {}'])
def test_a_change_with_the_current_etag_succeeds(service: Service, order: str, header: str) -> None:
    current = etag(service, order)
    assert service.http("POST", f"{order}pay/", headers={"If-Match": header.format(current)}).status == 200


TRANSITIONS = {"pay": "pending", "ship": "paid", "deliver": "shipped", "cancel": "paid"}


@pytest.mark.parametrize("action", TRANSITIONS)
def test_a_transition_that_is_retried_after_its_success_answers_200(service: Service, db: Database, action: str) -> None:
    """A client that did not receive the answer only has the tag from before."""
    order = service.order(service.customer()["id"], status=TRANSITIONS[action])
    path = f"/api/orders/{order['id']}/"
    headers = {"If-Match": etag(service, path)}
    first = service.act(order["id"], action, headers=headers)
    events = db.value("SELECT count(order_id) FROM events")
    for header in (headers, {"If-Match": '"any"'}, {"If-Match": first.headers["etag"]}, {"If-Match": "*"}, {}):
        again = service.act(order["id"], action, headers=header)
        assert (again.status, again.json, again.headers["etag"]) == (200, first.json, first.headers["etag"])
    assert db.value("SELECT count(order_id) FROM events") == events


@pytest.mark.parametrize("action", TRANSITIONS)
def test_a_transition_that_has_not_happened_still_checks_its_tag(service: Service, db: Database, action: str) -> None:
    order = service.order(service.customer()["id"], status=TRANSITIONS[action])
    events = db.value("SELECT count(order_id) FROM events")
    assert_problem(service.act(order["id"], action, headers={"If-Match": '"stale"'}), 412)
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order
    assert db.value("SELECT count(order_id) FROM events") == events


def test_a_transition_of_an_order_that_has_moved_on_checks_its_tag(service: Service) -> None:
    order = service.order(service.customer()["id"])
    headers = {"If-Match": etag(service, f"/api/orders/{order['id']}/")}
    assert service.act(order["id"], "pay", headers=headers).status == 200
    service.act(order["id"], "cancel")
    assert_problem(service.act(order["id"], "pay", headers=headers), 412)
    assert_problem(service.act(order["id"], "pay"), 409)


def test_fifty_concurrent_transitions_with_one_tag_act_once_and_all_succeed(
    service: Service, clients: Clients, db: Database, order: str
) -> None:
    headers = {"If-Match": etag(service, order)}
    answers = clients.http([(("POST", f"{order}pay/"), {"headers": headers})] * 50)
    assert {(answer.status, answer.text, answer.headers["etag"]) for answer in answers} == {
        (200, answers[0].text, etag(service, order))
    }
    assert db.value("SELECT count(order_id) FROM events WHERE type = 'order.paid'") == 1


def test_one_of_two_different_transitions_with_the_same_tag_is_refused(service: Service, clients: Clients) -> None:
    customer = service.customer()["id"]
    for _ in range(20):
        order = service.order(customer, status="paid")["id"]
        headers = {"If-Match": etag(service, f"/api/orders/{order}/")}
        answers = clients.http(
            [(("POST", f"/api/orders/{order}/{action}/"), {"headers": headers}) for action in ("ship", "cancel")]
        )
        assert sorted(answer.status for answer in answers) == [200, 412]


def test_one_of_two_writers_with_the_same_etag_is_refused(service: Service, clients: Clients, order: str) -> None:
    for action in ("PATCH", "PATCH", "PATCH"):
        item = f"{order}items/{service.http('GET', order).json['items'][0]['id']}/"
        headers = {"If-Match": etag(service, order)}
        answers = clients.http([((action, item, {"quantity": n}), {"headers": headers}) for n in (2, 3)])
        assert sorted(answer.status for answer in answers) == [200, 412]


@pytest.mark.parametrize("tag", ['"\x00"', '"\ud800"', "\x1f", "a\nb"], ids=ascii)
def test_what_no_header_can_hold_is_refused_by_the_name_of_the_header(service: Service, order: str, tag: str) -> None:
    """No client can send it, but an event of a function can carry it."""
    for method, body in (("DELETE", None), ("PATCH", {"name": "New"})):
        answer = service.http(method, customer_of(service, order), body, headers={"If-Match": tag})
        assert_problem(answer, 422, "If-Match")
    assert_problem(service.http("POST", f"{order}pay/", headers={"If-Match": tag}), 422, "If-Match")
    assert_problem(service.http("GET", order, headers={"If-None-Match": tag}), 422, "If-None-Match")


@pytest.mark.parametrize("tag", ["é", "Ã\x89", "😀", ""])
def test_a_tag_may_hold_whatever_a_header_may(service: Service, order: str, tag: str) -> None:
    current = etag(service, order)
    assert_problem(service.http("POST", f"{order}pay/", headers={"If-Match": f'"{tag}"'}), 412)
    assert service.http("POST", f"{order}pay/", headers={"If-Match": f'"{tag}",\t{current}'}).status == 200
