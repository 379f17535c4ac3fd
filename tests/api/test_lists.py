"""Lists: filters, pages and the summary."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest

from orders.limits import MAX_ITEMS
from orders.paging import encode_cursor
from tests.harness import MAX_ANSWER_BYTES, Database, Service, assert_problem


def results(service: Service, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = service.http("GET", path, query=query)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json["results"]
    return found


def walk(service: Service, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages, following `next`."""
    pages = []
    page = service.http("GET", path, query=query).json
    while True:
        pages.append(page["results"])
        if page["next"] is None:
            return pages
        url = urlsplit(page["next"])
        assert (url.scheme, url.netloc, url.path) == ("https", "orders.example.com", path)
        page = service.http("GET", url.path, query=url.query).json


@pytest.fixture
def orders(service: Service) -> dict[str, dict[str, Any]]:
    """Orders by the name of their customer and their status."""
    made = {}
    for name in ("alice", "bob"):
        customer = service.customer(f"{name.capitalize()}.N_1@example.com", name)
        for status in ("pending", "paid", "cancelled"):
            made[f"{name} {status}"] = service.order(customer["id"], status=status)
    return made


def test_orders_come_newest_first(service: Service, orders: dict[str, dict[str, Any]]) -> None:
    assert results(service, "/api/orders/") == list(reversed(orders.values()))


@pytest.mark.parametrize("status", ["pending", "paid", "cancelled"])
def test_orders_are_filtered_by_status(service: Service, orders: dict[str, dict[str, Any]], status: str) -> None:
    assert results(service, "/api/orders/", status=status) == [orders[f"bob {status}"], orders[f"alice {status}"]]


@pytest.mark.parametrize("needle", ["alice", "ALICE", "lic", "al", "a", "ce.n_1@exam"])
def test_orders_are_filtered_by_part_of_the_address(service: Service, orders: dict[str, dict[str, Any]], needle: str) -> None:
    found = [order["customer"]["name"] for order in results(service, "/api/orders/", email=needle)]
    assert found.count("alice") == 3
    assert found.count("bob") == (3 if needle in "bob.n_1@example.com" else 0)


@pytest.mark.parametrize("needle", ["%", "a%e", "alice_n", "\\", "al\\ice", "'", "';--", "+", ","])
def test_wildcards_in_the_address_are_literal(service: Service, orders: dict[str, dict[str, Any]], needle: str) -> None:
    assert results(service, "/api/orders/", email=needle) == []
    assert results(service, "/api/customers/", email=needle) == []


def test_special_characters_in_an_address_are_literal(service: Service) -> None:
    odd = service.customer("a+b,c%_d'e@example.com")
    for needle in ("a+b", "b,c", "%_", "d'e"):
        assert results(service, "/api/customers/", email=needle) == [odd]


# Addresses around the limits of the index: words of one to four characters, what LIKE gives a meaning to, and letters that only
# raw SQL can have written.
ADDRESSES = (
    "a@b.de",
    "ab.c-1.def.9@gh.ij",
    "alice.nguyen.77005@gmail.com",
    "alice.nguyen.770@gmail.com",
    "x%y_z\\w.%%%.___@a-b.co.uk",
    "ünï.cöde@exämple.ελ",
)


# More newer rows than a search walks before it turns to the index.
NEWER_CUSTOMERS = 501


def add_customers(db: Database, addresses: Iterable[str]) -> None:
    """Each with an order."""
    db.sql(
        "WITH c AS (INSERT INTO customers (email, name) SELECT unnest(string_to_array(:all, ' ')), 'n' RETURNING id)"
        " INSERT INTO orders (customer_id) SELECT id FROM c",
        all=" ".join(addresses),
    )


@pytest.mark.parametrize("newer", [0, NEWER_CUSTOMERS])
def test_every_part_of_an_address_finds_what_contains_it(service: Service, db: Database, newer: int) -> None:
    # So that some parts are in a new address and in an old one.
    oldest_first = [*ADDRESSES[:3], *(f"{n}@{n}" for n in range(newer)), *ADDRESSES[3:]]
    add_customers(db, [address.title() for address in oldest_first])
    parts = {address[first:last] for address in ADDRESSES for first in range(len(address)) for last in range(first + 1, 99)}
    near_misses = {"alice.nguyen.77@", "alice.nguyen.77005@gmall.com", "alice-nguyen.77005", "ab.c-1.def.8", "x%y_z%w.%%%.___@"}
    for number, part in enumerate(sorted(parts | near_misses)):
        # Every second part of orders, the others of customers, and all pages where there are several.
        path = ("/api/orders/", "/api/customers/")[number % 2]
        filters = {"status": "pending"} if number % 4 == 0 else {}
        pages = walk(service, path, email=part.upper(), limit=200, **filters)
        found = [row.get("customer", row)["email"].lower() for page in pages for row in page]
        assert found == [address for address in reversed(oldest_first) if part in address], (part, path)


def test_what_the_index_cannot_find_is_searched_for_page_by_page(service: Service, db: Database) -> None:
    """A page ends where so many rows have been looked at, as it does where its rows are large."""
    add_customers(db, ["b~1@x.de", "b~2@x.de"])
    db.sql("INSERT INTO customers (email, name) SELECT n || '@y.de', 'n' FROM generate_series(1, 9999) AS n")
    db.sql(
        "INSERT INTO orders (customer_id) SELECT id FROM (SELECT max(id) AS id FROM customers) AS c, generate_series(1, 3999)"
    )
    add_customers(db, ["b~3@x.de"])
    of_customers = walk(service, "/api/customers/", email="~")
    assert [[row["email"] for row in page] for page in of_customers] == [["b~3@x.de"], ["b~2@x.de", "b~1@x.de"]]
    for filters in ({}, {"status": "pending"}):
        of_orders = walk(service, "/api/orders/", email="~", **filters)
        found = [[row["customer"]["email"] for row in page] for page in of_orders]
        assert found == [["b~3@x.de"], [], ["b~2@x.de", "b~1@x.de"]]


def test_filters_combine(service: Service, orders: dict[str, dict[str, Any]]) -> None:
    alice = orders["alice paid"]["customer"]["id"]
    assert results(service, "/api/orders/", status="paid", email="alice") == [orders["alice paid"]]
    assert results(service, "/api/orders/", customer_id=alice, status="paid") == [orders["alice paid"]]
    assert results(service, "/api/orders/", customer_id=alice, email="bob") == []


def test_an_unknown_status_is_refused_with_the_known_ones(service: Service) -> None:
    problem = assert_problem(service.http("GET", "/api/orders/", query={"status": "payed"}), 422, "status")
    for status in ("pending", "paid", "shipped", "delivered", "cancelled"):
        assert status in problem["errors"][0]["message"]


def test_customers_come_newest_first_and_are_filtered_by_part_of_the_address(service: Service) -> None:
    made = [service.customer(f"{name}@example.com", name) for name in ("alice", "alina", "bob")]
    assert results(service, "/api/customers/") == made[::-1]
    assert results(service, "/api/customers/", email="ALI") == [made[1], made[0]]


@pytest.mark.parametrize("query", [{}, {"status": "pending"}, {"email": "example"}, {"status": "pending", "email": "example"}])
def test_pages_hold_every_order_once_while_others_are_created(service: Service, query: dict[str, str]) -> None:
    customer = service.customer()
    made = [service.order(customer["id"])["id"] for _ in range(7)]
    first = service.http("GET", "/api/orders/", query={**query, "limit": 3}).json
    newer = service.order(customer["id"])
    service.act(made[3], "cancel") if "status" not in query else None
    rest = service.http("GET", "/api/orders/", query=urlsplit(first["next"]).query).json
    last = service.http("GET", "/api/orders/", query=urlsplit(rest["next"]).query).json
    assert [len(page["results"]) for page in (first, rest, last)] == [3, 3, 1]
    assert [order["id"] for page in (first, rest, last) for order in page["results"]] == made[::-1]
    assert last["next"] is None
    assert newer["id"] not in made


def test_the_limit_is_fifty_by_default_and_at_most_two_hundred(service: Service, db: Database) -> None:
    db.sql("INSERT INTO customers (email, name) SELECT n || '@example.com', 'n' FROM generate_series(1, 201) AS n")
    assert len(results(service, "/api/customers/")) == 50
    assert len(results(service, "/api/customers/", limit=200)) == 200
    assert [len(page) for page in walk(service, "/api/customers/", limit=100)] == [100, 100, 1]
    assert [len(page) for page in walk(service, "/api/orders/summary/", limit=67)] == [67, 67, 67]
    for limit in (0, 201, -1, "x", "1.0", "+5", ""):
        assert_problem(service.http("GET", "/api/orders/", query={"limit": limit}), 422, "limit")


# Take the most bytes if a runtime client escapes everything beyond ASCII, and if it only escapes what JSON requires.
WORST_SKUS = {"emoji": "😀" * 64, "quotes": '"' * 64, "backslashes": "\\" * 64, "plain": "x" * 64}


def fill(db: Database, orders: int, items: int, sku: str) -> list[int]:
    """Creates orders of one customer; returns their ids, newest first."""
    db.sql("INSERT INTO customers (email, name) VALUES ('alice@example.com', :name)", name="😀" * 200)
    db.sql("INSERT INTO orders (customer_id) SELECT id FROM customers, generate_series(1, :orders::integer)", orders=orders)
    db.sql(
        "INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)"
        " SELECT id, :sku, 1000000, 1 FROM orders, generate_series(1, :items::integer)",
        sku=sku,
        items=items,
    )
    return [row[0] for row in db.sql("SELECT id FROM orders ORDER BY id DESC")]


@pytest.mark.parametrize("sku", WORST_SKUS.values(), ids=WORST_SKUS)
@pytest.mark.parametrize("query", [{}, {"limit": 200}, {"email": "alice"}, {"status": "pending", "limit": 18}])
def test_a_page_of_large_orders_ends_before_lambda_refuses_it(
    service: Service, db: Database, sku: str, query: dict[str, Any]
) -> None:
    """The harness asserts for every request that no answer exceeds MAX_ANSWER_BYTES."""
    made = fill(db, 18, MAX_ITEMS, sku)
    pages = walk(service, "/api/orders/", **query)
    assert [order["id"] for page in pages for order in page] == made
    assert all(len(order["items"]) == MAX_ITEMS for page in pages for order in page)
    # No page is shorter than necessary: the next order would not have fitted.
    sizes = [len(json.dumps(json.dumps(page, ensure_ascii=False))) for page in pages]
    largest = max(len(json.dumps(json.dumps(order, ensure_ascii=False))) for page in pages for order in page)
    assert all(size + largest > MAX_ANSWER_BYTES * 0.6 for size in sizes[:-1])


def test_the_pages_of_two_hundred_large_orders_contain_each_once(service: Service, db: Database) -> None:
    made = fill(db, 200, MAX_ITEMS, "MUG-11")
    pages = walk(service, "/api/orders/", limit=200)
    assert len(pages) > 1
    assert [order["id"] for page in pages for order in page] == made


def test_small_orders_fill_their_page_whatever_their_names(service: Service, db: Database) -> None:
    fill(db, 201, 5, WORST_SKUS["emoji"])
    assert [len(page) for page in walk(service, "/api/orders/", limit=200)] == [200, 1]


def test_a_row_that_is_too_large_for_a_page_still_gets_its_own(service: Service, db: Database) -> None:
    """An order's history also contains what raw SQL wrote to it."""
    order = service.order(service.customer()["id"])
    db.sql(
        "INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)"
        " SELECT :id, :customer, sequence, 'order.paid', 'r', json_build_object('x', repeat('x', 4500000))"
        " FROM generate_series(2, 4) AS sequence",
        id=order["id"],
        customer=order["customer"]["id"],
    )
    assert [len(page) for page in walk(service, f"/api/orders/{order['id']}/events/")] == [1, 1, 1, 1]


@pytest.mark.parametrize("path", ["/api/customers/", "/api/orders/", "/api/orders/summary/", "/api/orders/{}/events/"])
def test_a_page_has_the_cursor_and_the_url_of_the_next(service: Service, path: str) -> None:
    orders = [service.order(service.customer(f"{n}@example.com")["id"], status="paid") for n in range(2)]
    path = path.format(orders[0]["id"])
    first = service.http("GET", path, query={"limit": 1}).json
    assert list(first) == ["results", "next", "next_cursor"]
    assert first["next"] == f"https://orders.example.com{path}?limit=1&cursor={first['next_cursor']}"
    last = service.http("GET", path, query={"limit": 1, "cursor": first["next_cursor"]}).json
    assert (last["next"], last["next_cursor"]) == (None, None)
    assert first["results"] != last["results"]


def test_next_keeps_host_and_scheme_of_the_request(service: Service) -> None:
    for name in "ab":
        service.customer(f"{name}@example.com")
    headers = {"host": "localhost:8000", "x-forwarded-proto": "http"}
    page = service.http("GET", "/api/customers/", query={"limit": 1}, headers=headers).json
    assert page["next"].startswith("http://localhost:8000/api/customers/?limit=1&cursor=")


def test_a_cursor_only_works_for_the_list_that_issued_it(service: Service) -> None:
    customer = service.customer()
    for _ in range(3):
        service.order(customer["id"])
    cursor = service.http("GET", "/api/orders/", query={"limit": 1}).json["next"].partition("cursor=")[2]
    assert service.http("GET", "/api/orders/", query={"cursor": cursor, "limit": 2}).status == 200
    for path, query in [
        ("/api/orders/", {"cursor": cursor, "status": "paid"}),
        ("/api/customers/", {"cursor": cursor}),
        ("/api/orders/", {"cursor": cursor[:-1]}),
        ("/api/orders/", {"cursor": cursor[::-1]}),
        ("/api/orders/", {"cursor": ("y" if cursor[0] == "x" else "x") + cursor[1:]}),
        ("/api/orders/", {"cursor": ""}),
        ("/api/orders/", {"cursor": "ü"}),
    ]:
        assert_problem(service.http("GET", path, query=query), 422, "cursor")


@pytest.mark.parametrize("path", ["/api/customers/", "/api/orders/", "/api/orders/summary/", "/api/orders/{}/events/"])
@pytest.mark.parametrize(
    "key", ["\ud800", "a", "1", None, True, 1.5, float("inf"), float("nan"), [1], {"a": 1}, 2**63, -(2**63), 10**90], ids=ascii
)
def test_a_cursor_that_somebody_else_has_made_holds_nothing_but_numbers(service: Service, path: str, key: Any) -> None:
    """The checksum is no secret, so whatever JSON can say may come with the right one."""
    path = path.format(service.order(service.customer()["id"])["id"])
    cursor = encode_cursor([key] * (2 if "summary" in path else 1), f"{path.removesuffix('/')}?")
    assert_problem(service.http("GET", path, query={"cursor": cursor}), 422, "cursor")


def test_the_summary_contains_everybody_with_the_biggest_spender_first(service: Service) -> None:
    spender, idle, cancelled, small = (
        service.customer(f"{n}@example.com", n) for n in ("spender", "idle", "cancelled", "small")
    )
    service.order(spender["id"], (2, 5000), (1, 1), status="paid")
    service.order(spender["id"], (1, 100), status="cancelled")
    service.order(cancelled["id"], (9, 9999), status="cancelled")
    service.order(small["id"], (1, 50))
    assert [
        (row["customer_id"], row["name"], row["order_count"], row["item_count"], row["total_spent_cents"])
        for row in results(service, "/api/orders/summary/")
    ] == [
        (spender["id"], "spender", 2, 3, 10001),
        (small["id"], "small", 1, 1, 50),
        (idle["id"], "idle", 0, 0, 0),
        (cancelled["id"], "cancelled", 1, 1, 0),
    ]


def test_the_summary_shows_every_write_that_was_answered(service: Service) -> None:
    order = service.order(service.customer()["id"], (1, 700))
    assert results(service, "/api/orders/summary/")[0]["total_spent_cents"] == 700
    service.act(order["id"], "cancel")
    assert results(service, "/api/orders/summary/")[0]["total_spent_cents"] == 0
