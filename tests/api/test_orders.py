"""Orders: creating, reading, moving through their statuses, changing their items, and their history."""

import pytest

from orders.driver import DatabaseError
from orders.errors import CONSTRAINTS, from_database
from tests.harness import Database, Service, assert_problem

ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}


def test_a_new_order_is_pending_and_its_total_is_the_sum_of_its_items(service: Service) -> None:
    customer = service.customer()
    order = service.order(customer["id"], (2, 150), (3, 1000))
    assert order["status"] == "pending"
    assert order["allowed_actions"] == ["pay", "cancel"]
    assert order["total_cents"] == 3300
    assert [item["quantity"] for item in order["items"]] == [2, 3]
    assert order["customer"] == {"id": customer["id"], "email": "alice@example.com", "name": "Alice"}
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order


def test_the_answer_to_creating_has_the_orders_location(service: Service) -> None:
    answer = service.http("POST", "/api/orders/", {"customer_id": service.customer()["id"], "items": [ITEM]})
    assert answer.headers["location"] == f"/api/orders/{answer.json['id']}/"
    assert answer.headers["etag"] == service.http("GET", answer.headers["location"]).headers["etag"]


def test_an_order_of_an_unknown_customer_is_refused(service: Service, db: Database) -> None:
    assert_problem(service.http("POST", "/api/orders/", {"customer_id": 999, "items": [ITEM]}), 422, "customer_id")
    assert db.value("SELECT count(*) FROM orders") == 0


def test_five_hundred_items_fit_and_one_more_does_not(service: Service) -> None:
    customer = service.customer()
    assert len(service.order(customer["id"], *[(1, 1)] * 500)["items"]) == 500
    answer = service.http("POST", "/api/orders/", {"customer_id": customer["id"], "items": [ITEM] * 501})
    assert_problem(answer, 422, "items")


@pytest.mark.parametrize("path", ["/api/orders/7/", "/api/orders/7/events/"])
def test_an_unknown_order_is_not_found(service: Service, path: str) -> None:
    assert_problem(service.http("GET", path), 404)


def test_an_order_goes_from_pending_to_delivered(service: Service) -> None:
    order = service.order(service.customer()["id"])
    for action, status, allowed in [
        ("pay", "paid", ["ship", "cancel"]),
        ("ship", "shipped", ["deliver"]),
        ("deliver", "delivered", []),
    ]:
        answer = service.act(order["id"], action)
        assert (answer.status, answer.json["status"], answer.json["allowed_actions"]) == (200, status, allowed)


LEGAL = {
    "pay": {"pending": "paid"},
    "ship": {"paid": "shipped"},
    "deliver": {"shipped": "delivered"},
    "cancel": {"pending": "cancelled", "paid": "cancelled"},
}
BECOMES = {"pay": "paid", "ship": "shipped", "deliver": "delivered", "cancel": "cancelled"}


@pytest.mark.parametrize("action", LEGAL)
@pytest.mark.parametrize("status", ["pending", "paid", "shipped", "delivered", "cancelled"])
def test_every_transition_from_every_status(service: Service, db: Database, action: str, status: str) -> None:
    order = service.order(service.customer()["id"], status=status)
    events = db.value("SELECT count(order_id) FROM events")
    answer = service.act(order["id"], action)
    if status in LEGAL[action]:
        assert (answer.status, answer.json["status"]) == (200, LEGAL[action][status])
        assert db.value("SELECT count(order_id) FROM events") == events + 1
        return
    if status == BECOMES[action]:
        assert (answer.status, answer.json) == (200, order)
    else:
        problem = assert_problem(answer, 409)
        assert status in problem["detail"]
        assert (", ".join(order["allowed_actions"]) or "nothing") in problem["detail"]
    assert db.value("SELECT count(order_id) FROM events") == events
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order


@pytest.mark.parametrize("action", LEGAL)
def test_an_action_on_an_unknown_order_is_not_found(service: Service, action: str) -> None:
    assert_problem(service.act(7, action), 404)


@pytest.mark.parametrize("status", ["pending", "paid"])
def test_cancelling_touches_nothing_but_the_order(service: Service, db: Database, status: str) -> None:
    customer = service.customer()
    other = service.order(customer["id"])
    order = service.order(customer["id"], (2, 150), (1, 5), status=status)
    untouched = """
        SELECT json_build_array(
            (SELECT json_agg(json_build_array(xmin, c) ORDER BY id) FROM customers AS c),
            (SELECT json_agg(json_build_array(xmin, o) ORDER BY id) FROM orders AS o WHERE id <> :id),
            (SELECT json_agg(json_build_array(xmin, i) ORDER BY id) FROM order_items AS i)
        )::text
    """
    before = db.value(untouched, id=order["id"])
    answer = service.act(order["id"], "cancel")
    assert (answer.json["status"], answer.json["items"], answer.json["total_cents"]) == ("cancelled", order["items"], 305)
    assert db.value(untouched, id=order["id"]) == before
    assert service.http("GET", f"/api/orders/{other['id']}/").json == other


def test_items_are_added_changed_and_removed_while_the_order_is_pending(service: Service) -> None:
    order = service.order(service.customer()["id"], (2, 150))
    path = f"/api/orders/{order['id']}/items/"
    added = service.http("POST", path, {"sku": "CAP", "quantity": 1, "unit_price_cents": 999})
    assert (added.status, added.json["total_cents"], len(added.json["items"])) == (201, 1299, 2)
    changed = service.http("PATCH", f"{path}{added.json['items'][1]['id']}/", {"quantity": 3})
    assert (changed.status, changed.json["total_cents"]) == (200, 3297)
    assert changed.json["items"][1] == {**added.json["items"][1], "quantity": 3}
    removed = service.http("DELETE", f"{path}{order['items'][0]['id']}/")
    assert (removed.status, removed.json["total_cents"], len(removed.json["items"])) == (200, 2997, 1)
    assert removed.json == service.http("GET", f"/api/orders/{order['id']}/").json


def test_the_last_item_cannot_be_removed(service: Service) -> None:
    order = service.order(service.customer()["id"])
    assert_problem(service.http("DELETE", f"/api/orders/{order['id']}/items/{order['items'][0]['id']}/"), 409)


@pytest.mark.parametrize("status", ["paid", "cancelled"])
def test_items_cannot_change_once_the_order_is_no_longer_pending(service: Service, status: str) -> None:
    order = service.order(service.customer()["id"], (1, 1), (1, 2), status=status)
    item = f"/api/orders/{order['id']}/items/{order['items'][0]['id']}/"
    assert_problem(service.http("POST", f"/api/orders/{order['id']}/items/", ITEM), 409)
    assert_problem(service.http("PATCH", item, {"quantity": 5}), 409)
    assert_problem(service.http("DELETE", item), 409)
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order


def test_an_item_is_only_found_within_its_own_order(service: Service) -> None:
    customer = service.customer()
    order, other = service.order(customer["id"], (1, 1), (1, 2)), service.order(customer["id"], (1, 3), (1, 4))
    path = f"/api/orders/{order['id']}/items/{other['items'][0]['id']}/"
    assert_problem(service.http("PATCH", path, {"quantity": 5}), 404)
    assert_problem(service.http("DELETE", path), 404)
    assert_problem(service.http("POST", "/api/orders/999/items/", ITEM), 404)


def test_a_change_of_an_item_must_name_a_field(service: Service) -> None:
    order = service.order(service.customer()["id"])
    assert_problem(service.http("PATCH", f"/api/orders/{order['id']}/items/{order['items'][0]['id']}/", {}), 422, "body")


INSERT_ITEMS = "INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)"
DEAREST = {"sku": "X", "quantity": 1_000_000, "unit_price_cents": 1_000_000_000}
# The rest of 2^53 - 1 after nine of the most expensive items.
REST = [
    {"sku": "Y", "quantity": 1_000_000, "unit_price_cents": 7_199_254},
    {"sku": "Z", "quantity": 1, "unit_price_cents": 740_991},
]


def test_a_total_that_a_double_cannot_hold_is_refused(service: Service, db: Database) -> None:
    customer = service.customer()["id"]
    order = service.http("POST", "/api/orders/", {"customer_id": customer, "items": [DEAREST] * 9 + REST}).json
    assert order["total_cents"] == 2**53 - 1
    path = f"/api/orders/{order['id']}/"
    cheap = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
    for answer in (
        service.http("POST", f"{path}items/", cheap),
        service.http("POST", f"{path}items/", cheap, headers={"Idempotency-Key": "key"}),
        service.http("PATCH", f"{path}items/{order['items'][-1]['id']}/", {"quantity": 2}),
        service.http("POST", "/api/orders/", {"customer_id": customer, "items": [DEAREST] * 10}),
        service.http("POST", "/api/orders/", {"customer_id": customer, "items": [DEAREST] * 500}),
    ):
        assert assert_problem(answer, 422)["detail"] == "The order would total more than 9,007,199,254,740,991 cents."
    answer = service.http("POST", "/api/orders/", {"customer_id": customer, "items": [cheap]})
    assert assert_problem(answer, 422)["detail"] == "The customer's orders would total more than 9,007,199,254,740,991 cents."
    assert service.http("GET", path).json == order
    [row] = service.http("GET", "/api/orders/summary/").json["results"]
    assert (row["order_count"], row["item_count"], row["total_spent_cents"]) == (1, 11, 2**53 - 1)


def test_a_full_order_accepts_no_more_items_until_one_is_removed(service: Service, db: Database) -> None:
    order = service.order(service.customer()["id"], *[(1, 1)] * 499)
    path = f"/api/orders/{order['id']}/items/"
    full = service.http("POST", path, ITEM, headers={"Idempotency-Key": "last"})
    assert (full.status, len(full.json["items"])) == (201, 500)
    for headers in ({}, {"Idempotency-Key": "one-more"}, {"If-Match": full.headers["etag"]}, {"If-Match": "*"}):
        problem = assert_problem(service.http("POST", path, ITEM, headers=headers), 409)
        assert problem["detail"] == "The order has 500 items, and cannot hold more."
    assert_problem(service.http("POST", path, ITEM, headers={"If-Match": '"stale"'}), 412)
    # The answer to an addition under a key is still repeated.
    again = service.http("POST", path, ITEM, headers={"Idempotency-Key": "last"})
    assert (again.status, again.text) == (201, full.text)
    assert service.http("GET", f"/api/orders/{order['id']}/").json == full.json
    assert db.value("SELECT count(order_id) FROM events") == 2
    assert service.http("DELETE", f"{path}{order['items'][0]['id']}/").status == 200
    # The refused request left its key unused.
    assert service.http("POST", path, ITEM, headers={"Idempotency-Key": "one-more"}).status == 201


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            f"{INSERT_ITEMS} SELECT o.id, 'R', 1, 1 FROM orders AS o, generate_series(1, 500)",
            "orders_item_count_limit",
        ),
        (
            f"{INSERT_ITEMS} SELECT o.id, 'R', 1000000, 1000000000 FROM orders AS o, generate_series(1, 10)",
            "orders_total_limit",
        ),
        (
            "INSERT INTO orders (customer_id, total_cents) SELECT id, 9007199254740000 FROM customers, generate_series(1, 2)",
            "customer_totals_spent_limit",
        ),
    ],
)
def test_the_limits_also_apply_to_raw_sql(service: Service, db: Database, statement: str, constraint: str) -> None:
    order = service.order(service.customer()["id"])
    with pytest.raises(DatabaseError, match=constraint) as refusal:
        db.sql(statement)
    problem = from_database(refusal.value)
    assert problem is not None
    assert (problem.status, problem.detail) == (422, CONSTRAINTS[constraint])
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order


def test_the_history_tells_who_did_what_in_which_request(service: Service) -> None:
    customer = service.customer()
    order = service.http("POST", "/api/orders/", {"customer_id": customer["id"], "items": [ITEM]}, subject="ann").json
    path = f"/api/orders/{order['id']}"
    item = service.http("POST", f"{path}/items/", {"sku": "CAP", "quantity": 1, "unit_price_cents": 5}, subject="bob").json[
        "items"
    ][1]
    service.http("PATCH", f"{path}/items/{item['id']}/", {"unit_price_cents": 7})
    service.http("DELETE", f"{path}/items/{item['id']}/")
    service.act(order["id"], "pay", subject="ann")
    service.act(order["id"], "pay", subject="ann")
    service.act(order["id"], "deliver", subject="ann")
    events = service.http("GET", f"{path}/events/").json["results"]
    assert [(event["type"], event["actor"]) for event in events] == [
        ("order.created", "ann"),
        ("order.item_added", "bob"),
        ("order.item_updated", None),
        ("order.item_removed", None),
        ("order.paid", "ann"),
    ]
    assert events[0]["changes"] == {"status": [None, "pending"], "total_cents": [None, 300]}
    assert events[1]["changes"] == {"item": [None, item], "total_cents": [300, 305]}
    assert events[2]["changes"] == {"item": [item, {**item, "unit_price_cents": 7}], "total_cents": [305, 307]}
    assert events[3]["changes"] == {"item": [{**item, "unit_price_cents": 7}, None], "total_cents": [307, 300]}
    assert events[4]["changes"] == {"status": ["pending", "paid"]}
    assert len({event["request_id"] for event in events}) == 5


def test_the_history_is_paged(service: Service) -> None:
    order = service.order(service.customer()["id"], status="delivered")
    first = service.http("GET", f"/api/orders/{order['id']}/events/", query={"limit": 3}).json
    second = service.http("GET", f"/api/orders/{order['id']}/events/", query=first["next"].partition("?")[2]).json
    assert [event["type"] for event in first["results"] + second["results"]] == [
        "order.created", "order.paid", "order.shipped", "order.delivered",
    ]  # fmt: skip
    assert second["next"] is None


def test_the_application_cannot_rewrite_history(db: Database, service: Service) -> None:
    service.order(service.customer()["id"])
    allowed = "SELECT has_table_privilege('orders_app', 'events', :right)"
    assert db.value(allowed, right="INSERT")
    assert not any(db.value(allowed, right=right) for right in ("UPDATE", "DELETE", "TRUNCATE"))
