"""A Hypothesis state machine: the API against a small model in memory, equal after every step."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.harness import Answer, Database, Service

pytestmark = pytest.mark.slow

LEGAL = {"pay": ("pending",), "ship": ("paid",), "deliver": ("shipped",), "cancel": ("pending", "paid")}
BECOMES = {"pay": "paid", "ship": "shipped", "deliver": "delivered", "cancel": "cancelled"}
ITEMS = st.fixed_dictionaries(
    {"sku": st.sampled_from("ABC"), "quantity": st.integers(1, 9), "unit_price_cents": st.integers(0, 500)}
)
REFERENCES = st.sampled_from(["PO-1", "PO-2", "po-1"])
# More than may stay.
KEYS = [f"key {n}" for n in range(30)]
METADATA = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["", "1"]), max_size=20)
EXAMPLES, STEPS = 60, 50


class Model(RuleBasedStateMachine):
    """What the service should store: customers by id, and orders by id with their items."""

    service: Service
    db: Database
    steps = 0
    customers_ = Bundle("customers")
    orders_ = Bundle("orders")

    @initialize()
    def begin(self) -> None:
        self.db.empty()
        self.customers: dict[int, dict[str, Any]] = {}
        self.orders: dict[int, dict[str, Any]] = {}
        self.events: dict[int, list[str]] = {}
        # Of customers and of orders, by the first part of their path.
        self.metadata: dict[tuple[str, int], dict[str, str]] = {}

    def ask(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        type(self).steps += 1
        answer = self.service.http(method, path, body, **options)
        assert answer.status == status, (method, path, body, answer.text)
        return answer

    @rule(
        target=customers_,
        email=st.sampled_from(["Ann@x.de", "ann@x.de", "bob@x.de", "cy_%@y.de", "dan@y.de"]),
        name=st.sampled_from("AB"),
    )
    def create_customer(self, email: str, name: str) -> Any:
        taken = any(known["email"].lower() == email.lower() for known in self.customers.values())
        answer = self.ask(409 if taken else 201, "POST", "/api/customers/", {"email": email, "name": name})
        if taken:
            return multiple()
        self.customers[answer.json["id"]] = {"email": email, "name": name}
        self.metadata["customers", answer.json["id"]] = {}
        return answer.json["id"]

    @rule(customer=customers_, name=st.sampled_from("CD"))
    def rename_customer(self, customer: int, name: str) -> None:
        exists = customer in self.customers
        self.ask(200 if exists else 404, "PATCH", f"/api/customers/{customer}/", {"name": name})
        if exists:
            self.customers[customer]["name"] = name

    @rule(customer=consumes(customers_))
    def delete_customer(self, customer: int) -> None:
        has_orders = any(order["customer"] == customer for order in self.orders.values())
        self.ask(409 if has_orders else 204, "DELETE", f"/api/customers/{customer}/")
        if not has_orders:
            del self.customers[customer]

    @rule(
        target=orders_,
        customer=customers_,
        items=st.lists(ITEMS, min_size=1, max_size=3),
        given=st.fixed_dictionaries({}, optional={"reference": REFERENCES, "metadata": METADATA}),
    )
    def create_order(self, customer: int, items: list[dict[str, Any]], given: dict[str, Any]) -> Any:
        exists = customer in self.customers
        reference = given.get("reference")
        having = [order for order, known in self.orders.items() if reference is not None and known["reference"] == reference]
        status = 422 if not exists else 409 if having else 201
        answer = self.ask(status, "POST", "/api/orders/", {"customer_id": customer, "items": items, **given})
        if status != 201:
            assert status != 409 or answer.json["detail"] == f"Order {having[0]} already has the reference {reference}."
            return multiple()
        order = answer.json
        self.orders[order["id"]] = {
            "customer": customer,
            "status": "pending",
            "reference": reference,
            "items": {i["id"]: dict(i) for i in order["items"]},
        }
        assert [{key: item[key] for key in ("sku", "quantity", "unit_price_cents")} for item in order["items"]] == items
        self.metadata["orders", order["id"]] = given.get("metadata", {})
        self.events[order["id"]] = ["order.created"]
        return order["id"]

    @rule(
        kind_and_id=st.tuples(st.just("orders"), orders_) | st.tuples(st.just("customers"), customers_),
        change=st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from(["", "1", "2"]), max_size=25),
    )
    def change_metadata(self, kind_and_id: tuple[str, int], change: dict[str, str | None]) -> None:
        kind, identifier = kind_and_id
        known = self.metadata.get(kind_and_id, {})
        merged = {key: value for key, value in {**known, **change}.items() if value is not None}
        status = 404 if kind == "customers" and identifier not in self.customers else 409 if len(merged) > 20 else 200
        answer = self.ask(status, "PATCH", f"/api/{kind}/{identifier}/", {"metadata": change})
        if status != 200:
            return
        assert answer.json["metadata"] == merged
        self.metadata[kind_and_id] = merged
        if kind == "orders" and merged != known:
            self.events[identifier].append("order.updated")

    @rule(order=orders_, action=st.sampled_from(sorted(LEGAL)))
    def act(self, order: int, action: str) -> None:
        known = self.orders[order]
        legal, done = known["status"] in LEGAL[action], known["status"] == BECOMES[action]
        self.ask(200 if legal or done else 409, "POST", f"/api/orders/{order}/{action}/")
        if legal:
            known["status"] = BECOMES[action]
            self.events[order].append(f"order.{BECOMES[action]}")

    @rule(order=orders_, item=ITEMS)
    def add_item(self, order: int, item: dict[str, Any]) -> None:
        known = self.orders[order]
        pending = known["status"] == "pending"
        answer = self.ask(201 if pending else 409, "POST", f"/api/orders/{order}/items/", item)
        if pending:
            added = answer.json["items"][-1]
            known["items"][added["id"]] = {**item, "id": added["id"]}
            self.events[order].append("order.item_added")

    @rule(order=orders_, choice=st.integers(0, 5), quantity=st.integers(1, 9))
    def change_item(self, order: int, choice: int, quantity: int) -> None:
        known = self.orders[order]
        item = [*known["items"], 999_999_999][choice % (len(known["items"]) + 1)]
        status = 409 if known["status"] != "pending" else 200 if item in known["items"] else 404
        self.ask(status, "PATCH", f"/api/orders/{order}/items/{item}/", {"quantity": quantity})
        if status == 200:
            known["items"][item]["quantity"] = quantity
            self.events[order].append("order.item_updated")

    @rule(order=orders_, choice=st.integers(0, 5))
    def remove_item(self, order: int, choice: int) -> None:
        known = self.orders[order]
        item = list(known["items"])[choice % len(known["items"])]
        possible = known["status"] == "pending" and len(known["items"]) > 1
        self.ask(200 if possible else 409, "DELETE", f"/api/orders/{order}/items/{item}/")
        if possible:
            del known["items"][item]
            self.events[order].append("order.item_removed")

    @rule(
        status=st.sampled_from([None, *BECOMES.values(), "pending"]),
        email=st.sampled_from([None, "AN", "x.de", "_", "%", "zz"]),
        limit=st.integers(1, 4),
    )
    def list_orders(self, status: str | None, email: str | None, limit: int) -> None:
        query = {key: value for key, value in {"status": status, "email": email, "limit": limit}.items() if value is not None}
        found, page = [], self.ask(200, "GET", "/api/orders/", query=query).json
        while True:
            assert len(page["results"]) <= limit
            found += page["results"]
            if page["next"] is None:
                break
            page = self.ask(200, "GET", "/api/orders/", query=page["next"].partition("?")[2]).json
        expected = [
            identifier
            for identifier, order in self.orders.items()
            if (status is None or order["status"] == status)
            and (email is None or email.lower() in self.customers[order["customer"]]["email"].lower())
        ]
        assert [order["id"] for order in found] == sorted(expected, reverse=True)

    @rule(order=orders_)
    def read_order(self, order: int) -> None:
        known, document = self.orders[order], self.ask(200, "GET", f"/api/orders/{order}/").json
        assert document["status"] == known["status"]
        assert document["reference"] == known["reference"]
        assert document["metadata"] == self.metadata["orders", order]
        if known["reference"] is not None:
            found = self.ask(200, "GET", "/api/orders/", query={"reference": known["reference"]}).json["results"]
            assert found == [document]
        assert document["items"] == list(known["items"].values())
        assert document["total_cents"] == total(known)
        assert document["customer"] == {"id": known["customer"], **self.customers[known["customer"]]}
        assert document["allowed_actions"] == [
            action for action in ("pay", "ship", "deliver", "cancel") if known["status"] in LEGAL[action]
        ]
        events = self.ask(200, "GET", f"/api/orders/{order}/events/", query={"limit": 200}).json["results"]
        assert [event["type"] for event in events] == self.events[order]
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))

    @invariant()
    def the_summary_is_right(self) -> None:
        if not hasattr(self, "customers"):
            return
        rows = self.ask(200, "GET", "/api/orders/summary/").json["results"]
        expected = []
        for customer, known in self.customers.items():
            orders = [order for order in self.orders.values() if order["customer"] == customer]
            expected.append(
                {
                    "customer_id": customer,
                    **known,
                    "order_count": len(orders),
                    "item_count": sum(len(order["items"]) for order in orders),
                    "total_spent_cents": sum(total(order) for order in orders if order["status"] != "cancelled"),
                }
            )
        assert rows == sorted(expected, key=lambda row: (-row["total_spent_cents"], row["customer_id"]))


def total(order: dict[str, Any]) -> int:
    return sum(item["quantity"] * item["unit_price_cents"] for item in order["items"].values())


def test_the_api_behaves_like_the_model(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "service", service, raising=False)
    monkeypatch.setattr(Model, "db", db, raising=False)
    monkeypatch.setattr(Model, "steps", 0)
    case = Model.TestCase
    case.settings = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").runTest()
    print(f"{Model.steps} requests")
    assert Model.steps > 2000
