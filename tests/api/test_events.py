"""The events of orders and customers, and the feed over all of them."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from jsonschema_rs import Draft202012Validator

from contract.functions import OPENAPI
from orders.event_models import EVENTS
from tests.harness import Database, Service, assert_problem

ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}


def feed(service: Service, **query: Any) -> list[dict[str, Any]]:
    """All events of a walk. Asserts that its last page can be continued later."""
    events: list[dict[str, Any]] = []
    page = service.http("GET", "/api/events/", query=query).json
    while page["next"]:
        events += page["results"]
        page = service.http("GET", "/api/events/", query=dict(parse_qsl(page["next"].partition("?")[2]))).json
    assert page["next_cursor"]
    events += page["results"]
    return events


@pytest.fixture
def happened(service: Service) -> list[dict[str, Any]]:
    """One event of each type that an endpoint can cause, as (type, order, customer)."""
    ann, bob = (service.customer(f"{name}@example.com", name) for name in ("Ann", "Bob"))
    service.http("PATCH", f"/api/customers/{ann['id']}/", {"email": "ann@example.org"}, subject="clerk")
    order = service.order(ann["id"])
    path = f"/api/orders/{order['id']}"
    item = service.http("POST", f"{path}/items/", ITEM).json["items"][-1]
    service.http("PATCH", f"{path}/items/{item['id']}/", {"quantity": 3})
    service.http("DELETE", f"{path}/items/{item['id']}/")
    for action in ("pay", "ship", "deliver"):
        service.act(order["id"], action)
    given_up = service.order(ann["id"])
    service.http("POST", f"/api/orders/{given_up['id']}/cancel/", {"reason": "Ordered twice"})
    service.http("DELETE", f"/api/customers/{bob['id']}/")
    service.http("POST", f"/api/customers/{ann['id']}/erase/")
    return feed(service)


def test_every_change_is_an_event_of_the_documented_shape(happened: list[dict[str, Any]]) -> None:
    assert {event["type"] for event in happened} == EVENTS.keys() - {"order.updated"}
    for event in happened:
        name = EVENTS[event["type"]].__name__
        schema = {"$ref": f"#/components/schemas/{name}", "components": json.loads(OPENAPI.read_text())["components"]}
        assert Draft202012Validator(schema, validate_formats=True).is_valid(event), event


def test_sequences_count_from_one_per_order_and_per_customer(happened: list[dict[str, Any]]) -> None:
    counted: dict[tuple[int | None, int], list[int]] = {}
    for event in happened:
        # A customer's own events are counted apart from those of its orders.
        counted.setdefault((event["order_id"], event["customer_id"]), []).append(event["sequence"])
    assert len(counted) == 4
    assert all(sequence == list(range(1, len(sequence) + 1)) for sequence in counted.values())


def test_what_a_customers_event_says(service: Service) -> None:
    customer = service.http("POST", "/api/customers/", {"email": "ann@example.com", "name": "Ann"}, subject="shop").json
    path = f"/api/customers/{customer['id']}/"
    service.http("PATCH", path, {"name": "Ann B", "email": "ann@example.com"}, subject="clerk")
    service.http("PATCH", path, {"name": "Ann B"})
    service.http("DELETE", path)
    events = feed(service, customer_id=customer["id"])
    assert [(event["type"], event["actor"], event["order_id"], event["changes"]) for event in events] == [
        ("customer.created", "shop", None, {"email": [None, "ann@example.com"], "name": [None, "Ann"]}),
        ("customer.updated", "clerk", None, {"name": ["Ann", "Ann B"]}),
        ("customer.deleted", None, None, {"email": ["ann@example.com", None], "name": ["Ann B", None]}),
    ]


def test_the_reason_of_a_cancellation_stands_in_its_event(service: Service) -> None:
    order = service.order(service.customer()["id"])
    path = f"/api/orders/{order['id']}"
    for wrong in ("", "x" * 501, "a\nb", 5, None):
        assert_problem(service.http("POST", f"{path}/cancel/", {"reason": wrong}), 422, "reason")
    assert service.http("POST", f"{path}/cancel/", {"reason": "x" * 500}).json["status"] == "cancelled"
    assert service.http("POST", f"{path}/cancel/", {"reason": "another"}).status == 200
    [cancelled] = service.http("GET", f"{path}/events/").json["results"][1:]
    assert cancelled["changes"] == {"status": ["pending", "cancelled"], "reason": "x" * 500}


@pytest.mark.parametrize("body", [None, {}])
def test_a_cancellation_needs_no_reason(service: Service, body: Any) -> None:
    order = service.order(service.customer()["id"])
    assert service.http("POST", f"/api/orders/{order['id']}/cancel/", body).status == 200
    assert feed(service, type="order.cancelled")[0]["changes"] == {"status": ["pending", "cancelled"]}


def test_the_filters_combine(service: Service, happened: list[dict[str, Any]]) -> None:
    order = next(event for event in happened if event["type"] == "order.created")
    for query in (
        {"type": "order.paid"},
        {"type": "customer.deleted"},
        {"order_id": order["order_id"]},
        {"customer_id": order["customer_id"]},
        {"type": "order.created", "customer_id": order["customer_id"]},
        {"type": "order.shipped", "order_id": order["order_id"]},
        {"order_id": order["order_id"], "customer_id": order["customer_id"] + 1},
        {"type": "order.paid", "order_id": order["order_id"], "customer_id": order["customer_id"]},
    ):
        wanted = [event for event in happened if all(event[name] == value for name, value in query.items())]
        for limit in (1, 3, 200):
            assert feed(service, limit=limit, **query) == wanted
    assert_problem(service.http("GET", "/api/events/", query={"type": "order.lost"}), 422, "type")


def test_an_orders_history_shows_the_same_documents(service: Service, happened: list[dict[str, Any]]) -> None:
    order = next(event["order_id"] for event in happened if event["order_id"])
    history = service.http("GET", f"/api/orders/{order}/events/").json["results"]
    assert history == [event for event in happened if event["order_id"] == order]


@pytest.mark.parametrize("filters", [{}, {"type": "customer.created"}, {"customer_id": None}])
def test_the_end_of_the_feed_can_be_asked_again(service: Service, filters: dict[str, Any]) -> None:
    query = {**filters, "customer_id": 999_999} if "customer_id" in filters else filters
    empty = service.http("GET", "/api/events/", query=query).json
    assert (empty["results"], empty["next"]) == ([], None)
    again = service.http("GET", "/api/events/", query={**query, "cursor": empty["next_cursor"]}).json
    assert again == empty
    service.customer("late@example.com")
    later = service.http("GET", "/api/events/", query={**query, "cursor": empty["next_cursor"]}).json
    assert [event["type"] for event in later["results"]] == ([] if "customer_id" in filters else ["customer.created"])
    end = service.http("GET", "/api/events/", query={**query, "cursor": later["next_cursor"]}).json
    assert (end["results"], end["next"], end["next_cursor"]) == ([], None, later["next_cursor"])


def test_a_cursor_from_before_a_restore_is_refused(service: Service, db: Database) -> None:
    service.customer()
    cursor = service.http("GET", "/api/events/").json["next_cursor"]
    generation = db.value("SELECT etag_generation()")
    set_generation = (
        "CREATE OR REPLACE FUNCTION etag_generation() RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS $$ SELECT '{}' $$"
    )
    db.sql(set_generation.format("ffff"))
    try:
        problem = assert_problem(service.http("GET", "/api/events/", query={"cursor": cursor}), 422, "cursor")
        assert "restored" in problem["errors"][0]["message"]
    finally:
        db.sql(set_generation.format(generation))
    assert service.http("GET", "/api/events/", query={"cursor": cursor}).status == 200
