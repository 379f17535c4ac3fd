"""Customers: creating, reading, changing, deleting."""

from typing import Any

import pytest

from tests.harness import Database, Service, assert_problem, created


def test_a_customer_is_created_read_changed_and_deleted(service: Service) -> None:
    answer = service.http("POST", "/api/customers/", {"email": "Alice@Example.com", "name": "Alice"})
    customer = answer.json
    assert answer.headers["location"] == f"/api/customers/{customer['id']}/"
    path = answer.headers["location"]
    assert service.http("GET", path).json == customer
    changed = service.http("PATCH", path, {"name": "Alice Nguyen"})
    assert (changed.status, changed.json) == (200, {**customer, "name": "Alice Nguyen"})
    deleted = service.http("DELETE", path)
    assert (deleted.status, deleted.text) == (204, "")
    assert_problem(service.http("GET", path), 404)
    assert_problem(service.http("PATCH", path, {"name": "Bob"}), 404)
    assert_problem(service.http("DELETE", path), 404)


@pytest.mark.parametrize("spelling", ["alice@example.com", "ALICE@example.COM"])
def test_an_address_belongs_to_one_customer_regardless_of_case(service: Service, spelling: str) -> None:
    service.customer("alice@example.com")
    problem = assert_problem(service.http("POST", "/api/customers/", {"email": spelling, "name": "Other"}), 409)
    assert "e-mail" in problem["detail"]
    bob = service.customer("bob@example.com")
    assert_problem(service.http("PATCH", f"/api/customers/{bob['id']}/", {"email": spelling}), 409)


def test_a_customer_with_orders_cannot_be_deleted(service: Service, db: Database) -> None:
    customer = service.customer()
    order = service.order(customer["id"], status="cancelled")
    assert_problem(service.http("DELETE", f"/api/customers/{customer['id']}/"), 409)
    assert db.value("SELECT count(*) FROM customers") == 1
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order


def test_orders_show_the_new_name_of_their_customer(service: Service) -> None:
    customer = service.customer()
    order = service.order(customer["id"])
    service.http("PATCH", f"/api/customers/{customer['id']}/", {"email": "new@example.com"})
    assert service.http("GET", f"/api/orders/{order['id']}/").json["customer"]["email"] == "new@example.com"


@pytest.mark.parametrize(
    "email",
    [
        "",
        "alice",
        "alice@",
        "@example.com",
        "a b@example.com",
        "alice@example",
        "ä@example.com",
        "a" * 250 + "@b.de",
        "a@b..",
        "a@.b.c",
        "a@b..de",
        "a@.de",
        "a@b.",
        "a@b.de.",
        "a@..",
        "a@b.de@c.de",
        "a@@b.de",
        "a@b.d e",
        "a@b.de\n",
    ],
)
def test_an_invalid_address_is_refused(service: Service, email: str) -> None:
    assert_problem(service.http("POST", "/api/customers/", {"email": email, "name": "Alice"}), 422, "email")


@pytest.mark.parametrize(
    "email", ["a@b.c", "a.b+c@d-e.f", "a..b@c.d.e.f.g", ".@x.y", "a@xn--bcher-kva.example", "'/=?^`{|}~@x.y"]
)
def test_an_unusual_but_valid_address_is_accepted(service: Service, email: str) -> None:
    assert service.customer(email)["email"] == email


def test_a_change_must_name_a_field(service: Service) -> None:
    assert_problem(service.http("PATCH", f"/api/customers/{service.customer()['id']}/", {}), 422, "body")
    assert_problem(service.http("PATCH", "/api/customers/1/", {"name": None}), 422, "name")


@pytest.mark.parametrize(
    "change",
    [{"name": "Alice"}, {"email": "alice@example.com", "name": "Alice", "metadata": {"a": "1"}}, {"metadata": {"b": None}}],
)
def test_a_change_that_makes_no_difference_leaves_no_trace(service: Service, change: dict[str, Any]) -> None:
    """A new tag of the customer would also be one of each of their orders, whose writers would be refused."""
    body = {"email": "alice@example.com", "name": "Alice", "metadata": {"a": "1"}}
    customer = created(service.http("POST", "/api/customers/", body))["id"]
    order = service.order(customer)["id"]
    shown = [service.http("GET", path) for path in (f"/api/customers/{customer}/", f"/api/orders/{order}/")]
    answer = service.http("PATCH", f"/api/customers/{customer}/", change, headers={"If-Match": shown[0].headers["etag"]})
    assert (answer.status, answer.text, answer.headers["etag"]) == (200, shown[0].text, shown[0].headers["etag"])
    assert service.http("GET", f"/api/orders/{order}/").headers["etag"] == shown[1].headers["etag"]
    stale = service.http("PATCH", f"/api/customers/{customer}/", {"name": "Bob"}).headers["etag"]
    service.http("PATCH", f"/api/customers/{customer}/", {"name": "Alice"})
    assert_problem(service.http("PATCH", f"/api/customers/{customer}/", change, headers={"If-Match": stale}), 412)
    assert len(service.http("GET", "/api/events/", query={"type": "customer.updated"}).json["results"]) == 2
