"""What clients send by mistake or on purpose gets a problem document, writes nothing, and is never a 500."""

from typing import Any

import pytest

from tests.harness import Database, Service, assert_problem

ORDER = {"customer_id": 1, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]}
CUSTOMER = {"email": "a@b.de", "name": "A"}


@pytest.fixture(autouse=True)
def nothing_is_written(db: Database) -> Any:
    yield
    counts = "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM idempotency_keys)"
    assert db.sql(counts) == [[0, 0, 0]]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "nope",
        '{"email": "a@b.de",}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1, "a": 2}',
        "\ufeff{}",
        "{} x",
        b"\xff\xfe",
        "[" * 100_000,
    ],
)
def test_a_body_that_is_not_json_is_malformed(service: Service, body: str | bytes) -> None:
    assert_problem(service.http("POST", "/api/customers/", body), 400)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"]
)
def test_a_body_of_another_type_is_refused(service: Service, content_type: str) -> None:
    assert_problem(service.http("POST", "/api/customers/", "a=1", headers={"content-type": content_type}), 415)


@pytest.mark.parametrize("body", ["", "null", "[]", "1", '"x"', '[{"email": "a@b.de", "name": "A"}]'])
def test_a_body_that_is_no_object_is_invalid(service: Service, body: str) -> None:
    assert_problem(service.http("POST", "/api/customers/", body), 422, "body")


def test_every_wrong_field_is_named(service: Service) -> None:
    body = {
        "customer_id": "1",
        "items": [{"sku": "", "quantity": 0, "unit_price_cents": -1, "id": 5}, {"sku": "A"}],
        "status": "paid",
    }
    assert_problem(
        service.http("POST", "/api/orders/", body),
        422,
        "customer_id",
        "items.0.sku",
        "items.0.quantity",
        "items.0.unit_price_cents",
        "items.0.id",
        "items.1.quantity",
        "items.1.unit_price_cents",
        "status",
    )


@pytest.mark.parametrize(
    "number", ["0", "-1", "1.0", "1.5", '"1"', "true", "null", "9223372036854775808", "1e3", "[]", "{}", "1" * 5000]
)
def test_a_number_has_to_be_a_whole_number_within_its_range(service: Service, number: str) -> None:
    body = f'{{"customer_id": 1, "items": [{{"sku": "A", "quantity": {number}, "unit_price_cents": 1}}]}}'
    assert service.http("POST", "/api/orders/", body).status in ((400, 422) if len(number) > 4000 else (422,))
    body = f'{{"customer_id": {number}, "items": [{{"sku": "A", "quantity": 1, "unit_price_cents": 1}}]}}'
    assert service.http("POST", "/api/orders/", body).status in ((400, 422) if len(number) > 4000 else (422,))


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\ud800", "\\udfff\\ud800", "a\\nb", "\\u0007", "x" * 201, ""])
def test_a_text_that_cannot_be_kept_is_refused(service: Service, text: str) -> None:
    assert_problem(service.http("POST", "/api/customers/", f'{{"email": "a@b.de", "name": "{text}"}}'), 422, "name")


def test_what_is_only_unusual_is_kept(service: Service, db: Database) -> None:
    for name in ("😀" * 200, "نور", "\u202eevil", "O'Brien; DROP TABLE customers", "null", "Null", "\\"):
        assert service.http("POST", "/api/customers/", {"email": "a@b.de", "name": name}).json["name"] == name
        db.empty()


@pytest.mark.parametrize(
    "path", ["/api/orders/", "/api/customers/", "/api/orders/summary/", "/api/orders/1/", "/api/health/", "/api/dev/seed/"]
)
def test_an_unknown_parameter_is_refused_by_name(service: Service, path: str) -> None:
    method = "POST" if path == "/api/dev/seed/" else "GET"
    assert_problem(service.http(method, path, query="stauts=paid"), 422, "stauts")


@pytest.mark.parametrize("query", ["status=paid&status=pending", "limit=1&limit=2", "email=a&email=b"])
def test_a_repeated_parameter_is_refused(service: Service, query: str) -> None:
    assert_problem(service.http("GET", "/api/orders/", query=query), 422, query.partition("=")[0])


def test_more_parameters_than_anybody_needs_are_refused_before_they_are_read(service: Service) -> None:
    assert_problem(service.http("GET", "/api/orders/", query="&".join(["limit=1"] * 51)), 400)


@pytest.mark.parametrize("query", ["email=%ff", "email=%00", "email=" + "x" * 255, "limit=%0a", "status=", "cursor=%00"])
def test_a_parameter_that_cannot_be_read_is_refused(service: Service, query: str) -> None:
    assert service.http("GET", "/api/orders/", query=query).status in (400, 422)


@pytest.mark.parametrize(
    "identifier", ["0", "-1", "9223372036854775808", "99999999999999999999", "abc", "1.0", "1e1", "+1", "１"]
)
@pytest.mark.parametrize("path", ["/api/orders/{}/", "/api/orders/{}/events/", "/api/customers/{}/"])
def test_an_identifier_is_a_positive_64_bit_number(service: Service, path: str, identifier: str) -> None:
    assert service.http("GET", path.format(identifier)).status in ((404, 422) if identifier == "１" else (422,))


@pytest.mark.parametrize("identifier", ["1", "not-a-uuid", "00000000-0000-0000-0000-00000000000"])
def test_a_seed_run_is_named_by_a_uuid(service: Service, identifier: str) -> None:
    assert_problem(service.http("GET", f"/api/dev/seed/{identifier}/"), 422, "run_id")
    assert_problem(service.http("GET", "/api/dev/seed/00000000-0000-0000-0000-000000000000/"), 404)


def test_a_body_where_none_is_read_is_refused(service: Service) -> None:
    assert_problem(service.http("POST", "/api/orders/1/cancel/", {"dry_run": True}), 422, "body")
    assert_problem(service.http("POST", "/api/orders/1/cancel/", "{}"), 404)


@pytest.mark.parametrize("path", ["/api/orders/1/x", "/api/orders/1//", "/api//orders/1", "/api/orders/1\n"])
def test_a_path_that_leads_nowhere_is_answered_as_api_gateway_does(service: Service, path: str) -> None:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": path}, "requestId": "r", "stage": "$default"},
    }
    answer = service.invoke("get_order", event)
    assert (answer["statusCode"], answer["body"]) == (404, '{"message":"Not Found"}')


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"customers": 0}, ["customers"]),
        ({"customers": 1_000_001}, ["customers"]),
        ({"orders_per_customer": 1001}, ["orders_per_customer"]),
        ({"items_per_order": 101}, ["items_per_order"]),
        ({"items_per_order": 0}, ["items_per_order"]),
        ({"customers": 1_000_000, "orders_per_customer": 50, "items_per_order": 1}, []),
        ({"customer": 5}, ["customer"]),
    ],
)
def test_a_seed_run_has_its_limits(service: Service, body: dict[str, int], fields: list[str]) -> None:
    assert_problem(service.http("POST", "/api/dev/seed/", body), 422, *fields)
