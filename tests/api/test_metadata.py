"""Metadata: a client's own keys and values, on orders and customers."""

import json
from typing import Any

import pytest

from orders.driver import DatabaseError
from orders.limits import MAX_METADATA_KEYS
from tests.harness import Answer, Clients, Database, Service, assert_problem

ITEM = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
FULL = {f"key {n}": "v" for n in range(MAX_METADATA_KEYS)}


class Thing:
    """An order or a customer that takes metadata."""

    def __init__(self, service: Service, kind: str) -> None:
        self.service, self.kind = service, kind
        self.new: dict[str, Any] = (
            {"customer_id": service.customer()["id"], "items": [ITEM]}
            if kind == "orders"
            else {"email": "new@example.com", "name": "New"}
        )

    def create(self, metadata: Any = None) -> Answer:
        body = self.new if metadata is None else {**self.new, "metadata": metadata}
        return self.service.http("POST", f"/api/{self.kind}/", body)

    def made(self, metadata: dict[str, str]) -> str:
        """The path of a new one with this metadata."""
        answer = self.create(metadata)
        assert answer.status == 201, answer.text
        return answer.headers["location"]

    def patch(self, path: str, metadata: Any, **options: Any) -> Answer:
        return self.service.http("PATCH", path, {"metadata": metadata}, **options)


@pytest.fixture(params=["orders", "customers"])
def thing(service: Service, request: pytest.FixtureRequest) -> Thing:
    return Thing(service, request.param)


@pytest.fixture
def order(service: Service) -> str:
    return Thing(service, "orders").made({"a": "1", "b": "2"})


def events(service: Service, order: str) -> list[tuple[str, Any]]:
    return [(event["type"], event["changes"]) for event in service.http("GET", f"{order}events/").json["results"]]


def test_metadata_is_created_and_shown(thing: Thing) -> None:
    for metadata in ({}, {"channel": "web", "campaign": "Zoë \"1\" \\ 'x'"}, FULL):
        created = thing.create(metadata)
        assert (created.status, created.json["metadata"]) == (201, metadata)
        path = created.headers["location"]
        assert thing.service.http("GET", path).json == created.json
        assert thing.service.http("GET", f"/api/{thing.kind}/").json["results"][0] == created.json
        if thing.kind == "customers":
            thing.service.http("DELETE", path)


def test_without_metadata_there_is_an_empty_object(thing: Thing) -> None:
    assert thing.create().json["metadata"] == {}


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({}, {"a": "1"}, {"a": "1"}),
        ({"a": "1"}, {"b": "2"}, {"a": "1", "b": "2"}),
        ({"a": "1", "b": "2"}, {"a": "3"}, {"a": "3", "b": "2"}),
        ({"a": "1", "b": "2"}, {"a": None}, {"b": "2"}),
        ({"a": "1"}, {"a": None}, {}),
        ({"a": "1"}, {"b": None}, {"a": "1"}),
        ({"a": "1"}, {}, {"a": "1"}),
        ({"a": "1"}, {"a": ""}, {"a": ""}),
        (FULL, {**dict.fromkeys(FULL), **{f"other {n}": "w" for n in range(20)}}, {f"other {n}": "w" for n in range(20)}),
    ],
)
def test_a_change_is_merged(thing: Thing, before: dict[str, str], change: dict[str, Any], after: dict[str, str]) -> None:
    path = thing.made(before)
    answer = thing.patch(path, change)
    assert (answer.status, answer.json["metadata"]) == (200, after)
    assert thing.service.http("GET", path).json == answer.json


def test_no_more_than_twenty_keys_remain_after_a_change(thing: Thing, db: Database) -> None:
    path = thing.made(FULL)
    problem = assert_problem(thing.patch(path, {"one more": "v"}), 409)
    assert "more than 20 keys" in problem["detail"]
    assert thing.service.http("GET", path).json["metadata"] == FULL
    assert thing.patch(path, {"key 0": None, "one more": "v"}).status == 200
    with pytest.raises(DatabaseError, match="_metadata_limit"):
        db.sql(f"""UPDATE {thing.kind} SET metadata = metadata || '{{"raw": "sql"}}' WHERE metadata <> '{{}}'""")


WRONG: dict[str, tuple[Any, str]] = {
    "null": (None, "metadata"),
    "a list": (["a"], "metadata"),
    "a text": ("a", "metadata"),
    "21 keys": ({f"k{n}": "" for n in range(21)}, "metadata"),
    "an empty key": ({"": "v"}, "metadata."),
    "a blank key": ({"  ": "v"}, "metadata.  "),
    "a key of 41 characters": ({"k" * 41: "v"}, f"metadata.{'k' * 41}"),
    "NUL in a key": ({"a\x00": "v"}, "metadata.a\x00"),
    "a line break in a key": ({"a\nb": "v"}, "metadata.a\nb"),
    "a bidirectional control in a key": ({"a\u202eb": "v"}, "metadata.a\u202eb"),
    "half a pair in a key": ({"a\ud800": "v", "a?": "fine"}, "metadata.a?"),
    "a value of 501 characters": ({"k": "v" * 501}, "metadata.k"),
    "NUL in a value": ({"k": "\x00"}, "metadata.k"),
    "a control character in a value": ({"k": "a\x1bb"}, "metadata.k"),
    "a line break in a value": ({"k": "a\nb"}, "metadata.k"),
    "a line separator in a value": ({"k": "a\u2028b"}, "metadata.k"),
    "half a pair in a value": ({"k": "a\udc00"}, "metadata.k"),
    "a number": ({"k": 1}, "metadata.k"),
    "a fraction": ({"k": 0.25}, "metadata.k"),
    "true": ({"k": True}, "metadata.k"),
    "an object": ({"k": {"l": "m"}}, "metadata.k"),
    "deep objects": ({"k": json.loads('{"l":' * 50 + '""' + "}" * 50)}, "metadata.k"),
    "a huge key": ({"k" * 100_000: "v"}, "metadata." + "k" * 90 + "…"),
    "a huge value": ({"k": "v" * 400_000}, "metadata.k"),
}


@pytest.mark.parametrize(("metadata", "field"), WRONG.values(), ids=WRONG)
def test_wrong_metadata_is_refused_by_the_name_of_its_key(thing: Thing, metadata: Any, field: str) -> None:
    path = thing.made({})
    assert_problem(thing.service.http("POST", f"/api/{thing.kind}/", {**thing.new, "metadata": metadata}), 422, field)
    if field == "metadata" and isinstance(metadata, dict):
        metadata = dict.fromkeys(map(str, range(41)))
    assert_problem(thing.patch(path, metadata), 422, field)
    assert thing.service.http("GET", path).json["metadata"] == {}


def test_only_a_change_has_nulls(thing: Thing) -> None:
    assert_problem(thing.create({"k": None}), 422, "metadata.k")


def test_a_key_that_is_given_twice_is_malformed(thing: Thing) -> None:
    path = thing.made({})
    for text in (
        '{"metadata": {"k": "1", "k": "2"}}',
        '{"metadata": {}, "metadata": {}}',
        '{"metadata": {"k": "", "\\u006b": ""}}',
    ):
        assert_problem(thing.service.http("PATCH", path, text), 400)


def test_half_a_megabyte_of_keys_gets_an_answer(thing: Thing) -> None:
    path = thing.made({})
    assert_problem(thing.patch(path, {f"{n:06}": "" for n in range(30_000)}), 422, "body")
    assert_problem(thing.patch(path, dict.fromkeys(map(str, range(3_900)), 1)), 422, "metadata")
    answer = thing.patch(path, dict.fromkeys(map(str, range(80)), 1))
    assert_problem(answer, 422, *[error["field"] for error in answer.json["errors"]])
    assert {error["field"] for error in answer.json["errors"]} <= {"metadata", *(f"metadata.{n}" for n in range(80))}


UNUSUAL = {
    "__proto__": "constructor",
    "constructor": "__proto__",
    "k" * 40: "v" * 500,
    "😀" * 40: "😀" * 500,
    "a.b": "",
    "$where": "  ",
    "'; DROP TABLE orders; --": "%_\\\"'",
    "ключ": "=1+1",
    "null": "null",
    "a?": "b?",
    "e\u0301": "\u00e9",
    "\u00e9": "e\u0301",
    "0": "A\u200dB",
}


def test_unusual_keys_and_values_are_kept(thing: Thing) -> None:
    path = thing.made({})
    changed = thing.patch(path, UNUSUAL)
    assert (changed.status, changed.json["metadata"]) == (200, UNUSUAL)
    assert thing.service.http("GET", path).json["metadata"] == UNUSUAL


def test_the_largest_metadata_of_the_largest_order_fits(service: Service) -> None:
    metadata = {f"{n:02}{'😀' * 38}": "😀" * 500 for n in range(MAX_METADATA_KEYS)}
    items = [{"sku": "😀" * 64, "quantity": 1_000_000, "unit_price_cents": 1_000_000_000 // 500}] * 500
    body = {"customer_id": service.customer()["id"], "items": items, "reference": "😀" * 64, "metadata": metadata}
    order = service.http("POST", "/api/orders/", json.dumps(body, ensure_ascii=False))
    assert order.status == 201, order.text
    assert service.http("GET", "/api/orders/").json["results"] == [order.json]


# Orders only ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "paid", "shipped", "delivered", "cancelled"])
def test_an_order_of_any_status_can_change(service: Service, status: str) -> None:
    order = service.order(service.customer()["id"], status=status)
    answer = service.http("PATCH", f"/api/orders/{order['id']}/", {"metadata": {"a": "1"}})
    assert answer.status == 200
    assert answer.json == {**order, "metadata": {"a": "1"}, "updated_at": answer.json["updated_at"]}
    assert answer.json["updated_at"] > order["updated_at"]


def test_a_change_is_an_event_with_the_metadata_before_and_after(service: Service, order: str) -> None:
    service.http("PATCH", order, {"metadata": {"a": None, "c": "3"}}, subject="ann")
    created, updated = service.http("GET", f"{order}events/").json["results"]
    assert created["type"] == "order.created"
    assert (updated["type"], updated["sequence"], updated["actor"]) == ("order.updated", 2, "ann")
    assert updated["changes"] == {"metadata": [{"a": "1", "b": "2"}, {"b": "2", "c": "3"}]}


@pytest.mark.parametrize("change", [{}, {"a": "1"}, {"c": None}, {"a": "1", "b": "2", "c": None}])
def test_a_change_that_makes_no_difference_leaves_no_trace(
    service: Service, db: Database, order: str, change: dict[str, Any]
) -> None:
    before = service.http("GET", order)
    version = "SELECT xmin::text FROM orders"
    [[xmin]] = db.sql(version)
    answer = service.http("PATCH", order, {"metadata": change}, headers={"If-Match": before.headers["etag"]})
    assert (answer.status, answer.text, answer.headers["etag"]) == (200, before.text, before.headers["etag"])
    assert db.sql(version) == [[xmin]]
    assert len(events(service, order)) == 1


@pytest.mark.parametrize("change", [{"a": "2"}, {"a": "1"}, {}])
def test_a_stale_tag_is_refused_even_if_nothing_would_change(service: Service, order: str, change: dict[str, Any]) -> None:
    stale = service.http("GET", order).headers["etag"]
    assert service.http("PATCH", order, {"metadata": {"d": "4"}}, headers={"If-Match": stale}).status == 200
    assert_problem(service.http("PATCH", order, {"metadata": change}, headers={"If-Match": stale}), 412)
    assert len(events(service, order)) == 2


def test_a_change_must_name_metadata_and_nothing_else(service: Service, order: str) -> None:
    assert_problem(service.http("PATCH", order, {}), 422, "body")
    for field in ("status", "items", "customer_id", "total_cents", "id"):
        assert_problem(service.http("PATCH", order, {"metadata": {}, field: 1}), 422, field)
    assert_problem(service.http("PATCH", "/api/orders/999999999/", {"metadata": {"a": "1"}}), 404)
    assert_problem(service.http("PATCH", "/api/orders/999999999/", {"metadata": {}}), 404)


def test_concurrent_changes_of_different_keys_all_take_effect(service: Service, clients: Clients, order: str) -> None:
    keys = [f"key {n}" for n in range(16)]
    answers = clients.http([(("PATCH", order, {"metadata": {key: key}}), {}) for key in keys])
    assert [answer.status for answer in answers] == [200] * 16
    document = service.http("GET", order).json
    assert document["metadata"] == {"a": "1", "b": "2"} | {key: key for key in keys}
    history = [changes["metadata"] for type_, changes in events(service, order) if type_ == "order.updated"]
    assert len(history) == 16
    assert [after for _, after in history[:-1]] == [before for before, _ in history[1:]]


def test_concurrent_changes_cannot_exceed_twenty_keys_together(service: Service, clients: Clients, order: str) -> None:
    answers = clients.http([(("PATCH", order, {"metadata": {f"key {n}": ""}}), {}) for n in range(24)])
    assert sorted(answer.status for answer in answers) == [200] * 18 + [409] * 6
    assert len(service.http("GET", order).json["metadata"]) == 20


# Customers only -------------------------------------------------------------------------------------------------------


def customer_events(service: Service, customer: int) -> list[tuple[str, int, Any]]:
    found = service.http("GET", "/api/events/", query={"customer_id": customer}).json["results"]
    return [
        (event["type"], event["sequence"], event["changes"].get("metadata")) for event in found if event["order_id"] is None
    ]


def test_events_of_a_customer_show_what_changed(service: Service) -> None:
    path = Thing(service, "customers").made({"a": "1"})
    customer = service.http("GET", path).json["id"]
    for change in ({"metadata": {"b": "2"}}, {"metadata": {"b": "2", "c": None}}, {"name": "N", "metadata": {"a": "1"}}):
        assert service.http("PATCH", path, change).status == 200
    service.http("DELETE", path)
    both = {"a": "1", "b": "2"}
    assert customer_events(service, customer) == [
        ("customer.created", 1, [None, {"a": "1"}]),
        ("customer.updated", 2, [{"a": "1"}, both]),
        ("customer.updated", 3, None),
        ("customer.deleted", 4, [both, None]),
    ]


def test_events_of_a_customer_without_metadata_do_not_mention_it(service: Service) -> None:
    path = Thing(service, "customers").made({})
    customer = service.http("GET", path).json["id"]
    service.http("DELETE", path)
    assert [changes for *_, changes in customer_events(service, customer)] == [None, None]


def test_an_erased_customer_has_no_metadata_anywhere(service: Service, db: Database) -> None:
    headers = {"Idempotency-Key": "key"}
    body = {"email": "new@example.com", "name": "New", "metadata": {"phone": "555-0199"}}
    customer = service.http("POST", "/api/customers/", body, headers=headers).json["id"]
    path = f"/api/customers/{customer}/"
    service.http("PATCH", path, {"metadata": {"other phone": "555-0199"}})
    order = {"customer_id": customer, "items": [ITEM], "metadata": {"of": "the order"}}
    assert service.http("POST", "/api/orders/", order, headers=headers).status == 201
    assert service.http("POST", f"{path}erase/").json["metadata"] == {}
    for table in ("customers", "events", "idempotency_keys"):
        assert db.value(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%555-0199%'") == 0, table
    assert service.http("POST", "/api/customers/", body, headers=headers).json["metadata"] == {}
    assert service.http("POST", "/api/orders/", order, headers=headers).json["metadata"] == {"of": "the order"}
    assert_problem(service.http("PATCH", path, {"metadata": {"phone": "1"}}), 409)
