"""No request, whether malformed by mistake or on purpose, causes a 500 or writes anything: the answer is a problem."""

import gc
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from contract.functions import OPENAPI
from orders.errors import MAX_ERRORS
from tests.harness import Answer, Database, Service, assert_problem

ORDER = {"customer_id": 1, "items": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]}
CUSTOMER = {"email": "a@b.de", "name": "A"}
ITEM = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
MOST = 2**53 - 1
MAX_BODY_BYTES = 512 * 1024
RUN = "01234567-89ab-4cde-8f01-23456789abcd"
# Every endpoint that reads a body.
BODIES = [
    ("POST", "/api/customers/"),
    ("PATCH", "/api/customers/1/"),
    ("POST", "/api/orders/"),
    ("PATCH", "/api/orders/1/"),
    ("POST", "/api/orders/1/items/"),
    ("PATCH", "/api/orders/1/items/1/"),
    ("POST", "/api/dev/seed/"),
]
body_endpoints = pytest.mark.parametrize(("method", "path"), BODIES, ids=[f"{method} {path}" for method, path in BODIES])


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
    ("body", "detail"),
    [
        ('{"a" 1}', "The body is not valid JSON: it cannot be read from character 5 on."),
        ('{"a": NaN}', "The body is not valid JSON: NaN is not a number."),
        ('{"a": -Infinity}', "The body is not valid JSON: -Infinity is not a number."),
        ('{"a": {"b": 1, "b": 1}}', "The body is not valid JSON: an object has a key twice."),
        ("[" * 100_000, "The body is nested too deeply."),
        (b"\xff\xfe", "The body is not UTF-8 text."),
    ],
)
def test_the_problem_says_what_is_wrong_with_the_json(service: Service, body: str | bytes, detail: str) -> None:
    assert assert_problem(service.http("POST", "/api/customers/", body), 400)["detail"] == detail


@body_endpoints
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded+json",
        "application/problem+json",
        "application/vnd.orders+json",
        "application/jsonx",
        "application/json, text/plain",
        "multipart/form-data; boundary=x",
        "image/png",
        "; charset=utf-8",
        "json",
    ],
)
def test_a_body_of_another_type_gets_the_same_problem(service: Service, method: str, path: str, content_type: str) -> None:
    for body in ('{"customers": 1}', b'{"customers": 1}', "a=1", "{"):
        problem = assert_problem(service.http(method, path, body, headers={"content-type": content_type}), 415)
        assert problem["detail"] == "A body needs the header Content-Type: application/json."


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON", "Application/Json; charset=utf-8", " application/json ; x=y", "application/json;"],
)
def test_json_is_accepted_in_any_spelling_of_its_type(service: Service, content_type: str) -> None:
    for body in ("{}", b"{}"):
        answer = service.http("POST", "/api/customers/", body, headers={"content-type": content_type})
        assert_problem(answer, 422, "email", "name")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/problem+json"])
def test_the_type_of_an_empty_body_does_not_matter(service: Service, db: Database, content_type: str) -> None:
    headers = {"content-type": content_type}
    assert service.http("POST", "/api/dev/seed/", "", headers=headers).status == 202
    assert_problem(service.http("POST", "/api/customers/", "", headers=headers), 422, "body")
    assert_problem(service.http("POST", "/api/orders/1/pay/", "", headers=headers), 404)
    assert service.http("GET", "/api/orders/", "", headers=headers).status == 200
    db.empty()


def test_a_body_that_is_not_read_needs_its_type_as_well(service: Service) -> None:
    assert_problem(service.http("POST", "/api/orders/1/pay/", "{}", headers={"content-type": ""}), 415)
    assert_problem(service.http("POST", "/api/orders/1/pay/", "{}", headers={"content-type": "text/plain"}), 415)


@body_endpoints
@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "base64"])
def test_a_body_over_512_kb_is_refused_before_it_is_read(service: Service, method: str, path: str, encode: Any) -> None:
    for body in (
        "x" * (MAX_BODY_BYTES + 3),
        '{"a": 1}' + " " * MAX_BODY_BYTES,
        "ä" * (MAX_BODY_BYTES // 2 + 2),
        "[" * 5_000_000,
    ):
        problem = assert_problem(service.http(method, path, encode(body)), 413)
        assert problem["detail"] == "A body has at most 512 KB."


def test_a_body_of_512_kb_is_read(service: Service) -> None:
    body = json.dumps(CUSTOMER | {"nam": "x"}).ljust(MAX_BODY_BYTES)
    assert_problem(service.http("POST", "/api/customers/", body), 422, "nam")
    assert_problem(service.http("POST", "/api/customers/", body.encode()), 422, "nam")
    assert_problem(service.http("POST", "/api/customers/", body.replace(" ", "\u2003", 1)), 413)


# One padding character of base64, two and none.
@pytest.mark.parametrize("size", [MAX_BODY_BYTES, MAX_BODY_BYTES - 1, MAX_BODY_BYTES - 2])
def test_a_body_within_512_kb_is_not_too_large_for_its_padding(service: Service, size: int) -> None:
    body = b'{"name": "'.ljust(size - 1) + b"\xff"
    assert_problem(service.http("POST", "/api/customers/", body), 400)
    assert_problem(service.http("POST", "/api/customers/", body.ljust(MAX_BODY_BYTES + 1)), 413)


def test_the_largest_order_fits_even_with_every_character_escaped(service: Service) -> None:
    item = {"sku": "😀" * 64, "quantity": 1_000_000, "unit_price_cents": 1_000_000_000}
    body = json.dumps({"customer_id": MOST, "items": [item] * 500})
    assert_problem(service.http("POST", "/api/orders/", body), 422, "customer_id")


def test_every_endpoint_with_a_body_documents_how_it_refuses_one() -> None:
    paths = json.loads(OPENAPI.read_text())["paths"]
    operations = [op for item in paths.values() for method, op in item.items() if method in ("post", "patch")]
    assert operations
    for operation in operations:
        assert {"400", "413", "415", "422"} <= operation["responses"].keys(), operation["operationId"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json"])
@pytest.mark.parametrize("body", ["x", '{"a": 1}', b"\xff", "x" * (MAX_BODY_BYTES + 1)], ids=["text", "json", "bytes", "large"])
def test_however_a_body_is_refused_the_contract_has_the_status(service: Service, body: str | bytes, content_type: str) -> None:
    """A GET and a DELETE have no use for a type or a limit of bodies: they take none."""
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        for method, operation in methods.items():
            url = re.sub(r"{\w+}", "1", path.replace("{run_id}", RUN))
            answer = service.http(method.upper(), url, body, headers={"content-type": content_type})
            assert_problem(answer, answer.status, *([] if answer.status in (400, 413, 415) else names_of(answer)))
            assert str(answer.status) in operation["responses"], (method, path, answer.text)
            if method in ("get", "delete") and answer.status != 400:
                assert answer.json["detail"] == "body: this endpoint takes no body"


def names_of(answer: Answer) -> list[str]:
    return [error["field"] for error in answer.json["errors"]]


@body_endpoints
def test_twenty_of_many_unknown_fields_are_named(service: Service, method: str, path: str) -> None:
    answer = service.http(method, path, {f"key{n}": n for n in range(1000)})
    unknown = [name for name in names_of(answer) if name.startswith("key")]
    assert_problem(answer, 422, *names_of(answer))
    assert len(names_of(answer)) == MAX_ERRORS
    assert unknown == [f"key{n}" for n in range(len(unknown))]
    assert len(unknown) >= MAX_ERRORS - 3


@body_endpoints
@pytest.mark.parametrize("length", [100, 101, 100_000])
def test_the_name_of_an_unknown_field_is_cut(service: Service, method: str, path: str, length: int) -> None:
    answer = service.http(method, path, {"x" * length: 1})
    name = "x" * 100 if length == 100 else "x" * 99 + "…"
    assert_problem(answer, 422, *[field for field in names_of(answer) if not field.startswith("x")], name)
    assert len(answer.text) < 1000


@body_endpoints
def test_half_a_megabyte_of_unknown_fields_gets_an_answer(service: Service, method: str, path: str) -> None:
    body = json.dumps({f"{n:05}": 0 for n in range(40_000)})
    problem = assert_problem(service.http(method, path, body), 422, "body")
    assert problem["detail"] == "body: contains more objects and fields than any request needs"


def test_twenty_mistakes_in_items_are_named(service: Service) -> None:
    items = [{"sku": 1, "quantity": "x", "unit_price_cents": None, "y" * 200: 0}] * 500
    answer = service.http("POST", "/api/orders/", {"customer_id": 1, "items": items})
    fields = ["sku", "quantity", "unit_price_cents", "y" * 91 + "…"]
    assert_problem(answer, 422, *[f"items.{n}.{field}" for n in range(5) for field in fields])


@pytest.mark.parametrize("part", ["{}", "[]", "0", '""', "1e9", "null", "[" * 900 + "]" * 900, '{"a":' * 90 + "0" + "}" * 90])
def test_half_a_megabyte_of_anything_gets_an_answer(service: Service, part: str) -> None:
    items = ",".join([part] * ((MAX_BODY_BYTES - 100) // (len(part) + 1)))
    for body in (f'{{"customer_id": 1, "items": [{items}]}}', f"[{items}]"):
        for path in ("/api/orders/", "/api/customers/", "/api/dev/seed/"):
            answer = service.http("POST", path, body)
            assert_refused(answer)
            assert len(answer.text) < 10_000


def _filled(part: str) -> str:
    """A body of the maximum size, mostly a list of this part."""
    return '{"items": [' + ",".join([part] * ((MAX_BODY_BYTES - 20) // (len(part) + 1))) + "]}"


EXPENSIVE = {
    "the deepest lists": _filled("[" * 900 + "]" * 900),
    "empty lists": _filled("[]"),
    "numbers": _filled("0"),
    "the longest numbers": _filled("9" * 4299),
    "unknown fields": "{" + ",".join(f'"{n:05}":0' for n in range(50_000)) + "}",
    "as many long unknown fields as are read": json.dumps({f"{n:04}{'x' * 100}": 0 for n in range(3_990)}),
    "as many mistakes as are read": json.dumps({"items": [dict.fromkeys("abcdef", 1)] * 500}),
    "mistakes in every field": json.dumps({"items": [{"sku": 1, "quantity": "x", "unit_price_cents": None}] * 500}),
    "as many wrong keys as are read": json.dumps({"metadata": {f"{n:04}\x00": 1 for n in range(3_990)}}),
    "the largest order": json.dumps(ORDER | {"items": [ITEM | {"sku": "😀" * 64}] * 500}),
}


@pytest.mark.parametrize("body", EXPENSIVE.values(), ids=EXPENSIVE)
def test_no_body_costs_much_more_than_the_largest_order(service: Service, body: str) -> None:
    """As a multiple of the time in which Python parses that order, the best of five: machine and load do not matter.
    The deepest lists and plain numbers take a third of what is allowed, everything else less.
    """

    def seconds(work: Callable[[], object]) -> float:
        begin = time.process_time()
        work()
        return time.process_time() - begin

    def parse() -> None:
        json.loads(EXPENSIVE["the largest order"])

    def refuse() -> None:
        for path in ("/api/orders/", "/api/customers/"):
            assert_refused(service.http("POST", path, body))

    assert len(body.encode()) <= MAX_BODY_BYTES
    # A function has a small heap. The garbage collector need not traverse all objects of the tests.
    gc.freeze()
    try:
        parsed, refused = map(min, zip(*[(seconds(parse), seconds(refuse)) for _ in range(5)], strict=True))
    finally:
        gc.unfreeze()
    assert refused < 2 * 200 * parsed


def assert_refused(answer: Answer) -> None:
    assert answer.status in (400, 422)
    assert_problem(answer, answer.status, *[error["field"] for error in answer.json.get("errors", [])])


def test_twenty_of_fifty_unknown_parameters_are_named(service: Service) -> None:
    answer = service.http("GET", "/api/orders/", query="&".join(f"{'p' * 120}{n}=1" for n in range(50)))
    assert_problem(answer, 422, *["p" * 99 + "…"] * MAX_ERRORS)
    assert len(answer.text) < 10_000


@pytest.mark.parametrize("body", ["", "null", "[]", "1", '"x"', '[{"email": "a@b.de", "name": "A"}]'])
def test_a_body_that_is_not_an_object_is_invalid(service: Service, body: str) -> None:
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
    ("number", "message"),
    [
        ("0", "must be at least 1"),
        ("-1", "must be at least 1"),
        ("1.0", "must be a whole number"),
        ("1.5", "must be a whole number"),
        ("1e0", "must be a whole number"),
        ("1e2", "must be a whole number"),
        ("1E400", "must be a whole number"),
        ('"1"', "must be a whole number"),
        ("true", "must be a whole number"),
        ("null", "must be a whole number"),
        ("[]", "must be a whole number"),
        ("{}", "must be a whole number"),
        ("-9007199254740992", "must be at least 1"),
        ("1" * 4000, "must be at most {}"),
    ],
)
def test_a_number_must_be_a_whole_number_within_its_range(service: Service, number: str, message: str) -> None:
    body = f'{{"customer_id": 1, "items": [{{"sku": "A", "quantity": {number}, "unit_price_cents": 1}}]}}'
    problem = assert_problem(service.http("POST", "/api/orders/", body), 422, "items.0.quantity")
    assert problem["errors"][0]["message"] == message.format(1_000_000)
    assert problem["detail"] == f"items.0.quantity: {message.format(1_000_000)}"
    body = f'{{"customer_id": {number}, "items": [{{"sku": "A", "quantity": 1, "unit_price_cents": 1}}]}}'
    problem = assert_problem(service.http("POST", "/api/orders/", body), 422, "customer_id")
    assert problem["errors"][0]["message"] == message.format(MOST)


@body_endpoints
@pytest.mark.parametrize("digits", [4301, 5000, 500_000])
def test_a_number_with_too_many_digits_is_refused_in_our_words(service: Service, method: str, path: str, digits: int) -> None:
    for sign in ("", "-"):
        problem = assert_problem(service.http(method, path, f'{{"quantity": {sign}{"7" * digits}}}'), 422, "body")
        assert problem["detail"] == "body: contains a number with too many digits"


def test_integers_end_where_a_double_is_no_longer_exact(service: Service) -> None:
    for number, message in ((MOST, f"there is no customer {MOST}"), (MOST + 1, f"must be at most {MOST}")):
        problem = assert_problem(service.http("POST", "/api/orders/", ORDER | {"customer_id": number}), 422, "customer_id")
        assert problem["errors"][0]["message"] == message
    assert service.http("GET", "/api/orders/", query={"customer_id": MOST}).status == 200
    assert_problem(service.http("GET", "/api/orders/", query={"customer_id": MOST + 1}), 422, "customer_id")
    assert_problem(service.http("GET", f"/api/orders/{MOST}/"), 404)
    assert_problem(service.http("GET", f"/api/orders/{MOST + 1}/"), 422, "order_id")
    assert_problem(service.http("DELETE", f"/api/orders/1/items/{MOST + 1}/"), 422, "item_id")


def test_a_double_can_hold_every_bound_in_the_contract() -> None:
    def bounds(node: Any) -> list[int]:
        if isinstance(node, dict):
            own = [node[key] for key in ("minimum", "maximum") if isinstance(node.get(key), int)]
            return own + [bound for value in node.values() for bound in bounds(value)]
        return [bound for value in node for bound in bounds(value)] if isinstance(node, list) else []

    found = bounds(json.loads(OPENAPI.read_text()))
    assert max(found) == MOST
    assert min(found) >= -MOST


MESSAGES = [
    ({"email": "a@b.de"}, "name", "is missing"),
    (CUSTOMER | {"x": 1}, "x", "unknown field"),
    (CUSTOMER | {"name": 5}, "name", "must be a text"),
    (CUSTOMER | {"name": None}, "name", "must be a text"),
    (CUSTOMER | {"name": ""}, "name", "must have 1 or more characters"),
    (CUSTOMER | {"name": "x" * 201}, "name", "must have at most 200 characters"),
    (CUSTOMER | {"email": "a@bc"}, "email", "must have 5 or more characters"),
    (CUSTOMER | {"email": "a@" + "b" * 250 + ".de"}, "email", "must have at most 254 characters"),
    (CUSTOMER | {"email": "alice"}, "email", "is not an e-mail address"),
    (ORDER | {"items": []}, "items", "must have 1 or more entries"),
    (ORDER | {"items": [ITEM] * 501}, "items", "must have at most 500 entries"),
    (ORDER | {"items": {}}, "items", "must be a list"),
    (ORDER | {"items": ["A"]}, "items.0", "must be a JSON object"),
    (ORDER | {"items": [ITEM | {"quantity": 1_000_001}]}, "items.0.quantity", "must be at most 1000000"),
    (ORDER | {"items": [ITEM | {"unit_price_cents": -1}]}, "items.0.unit_price_cents", "must be at least 0"),
]


@pytest.mark.parametrize(("body", "field", "message"), MESSAGES, ids=[f"{field} {message}" for _, field, message in MESSAGES])
def test_a_mistake_is_reported_in_a_sentence_about_its_field(
    service: Service, body: dict[str, Any], field: str, message: str
) -> None:
    path = "/api/customers/" if "email" in body else "/api/orders/"
    problem = assert_problem(service.http("POST", path, body), 422, field)
    assert (problem["errors"][0]["message"], problem["detail"]) == (message, f"{field}: {message}")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "must be at least 1"),
        ("limit=201", "must be at most 200"),
        ("limit=x", "must be a whole number in decimal digits, without leading zeros"),
        ("limit=01", "must be a whole number in decimal digits, without leading zeros"),
        ("limit=" + "9" * 5000, "must be at most 200"),
        ("customer_id=007", "must be a whole number in decimal digits, without leading zeros"),
        ("status=payed", "must be 'pending', 'paid', 'shipped', 'delivered' or 'cancelled'"),
        ("stauts=paid", "unknown query parameter; this endpoint takes status, email, customer_id, reference, limit, cursor"),
        ("cursor=x", "is not a cursor of this list with these filters; start again without one"),
        ("email=%00", "must not contain control characters"),
    ],
)
def test_a_wrong_parameter_is_reported_in_a_sentence(service: Service, query: str, message: str) -> None:
    field = query.partition("=")[0]
    problem = assert_problem(service.http("GET", "/api/orders/", query=query), 422, field)
    assert (problem["errors"][0]["message"], problem["detail"]) == (message, f"{field}: {message}")


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\ud800", "\\udfff\\ud800", "a\\nb", "\\u0007", "x" * 201, ""])
def test_a_text_that_cannot_be_stored_is_refused(service: Service, text: str) -> None:
    assert_problem(service.http("POST", "/api/customers/", f'{{"email": "a@b.de", "name": "{text}"}}'), 422, "name")


@pytest.mark.parametrize("depth", [1, 900])
def test_half_a_surrogate_pair_hides_no_other_mistake(service: Service, depth: int) -> None:
    """Nor next to lists that are nested deeper than Python's recursion limit."""
    body = f'{{"email": 5, "name": "\\ud800", "x": {"[" * depth}{"]" * depth}, "\\udfff": 1}}'
    problem = assert_problem(service.http("POST", "/api/customers/", body), 422, "email", "name", "x", "?")
    assert problem["errors"][1]["message"] == "must not contain half of a surrogate pair"


def test_half_a_surrogate_pair_next_to_very_deeply_nested_lists_is_refused(service: Service) -> None:
    """Python 3.11's parser gives up at this depth, later ones do not."""
    body = f'{{"email": 5, "name": "\\ud800", "x": {"[" * 1900}{"]" * 1900}}}'
    assert service.http("POST", "/api/customers/", body).status in (400, 422)


def test_unusual_text_is_stored(service: Service, db: Database) -> None:
    persian, family = "می\u200cخواهم", "👨\u200d👩\u200d👧"
    for name in (
        "😀" * 200,
        "نور",
        persian,
        family,
        " A ",
        "a\xa0b",
        "O'Brien; DROP TABLE customers",
        "null",
        "Null",
        "\\",
        "-",
    ):
        assert service.http("POST", "/api/customers/", {"email": "a@b.de", "name": name}).json["name"] == name
        db.empty()


UNPRINTABLE = "\x00\x1f\x7f\x85\x9f\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
BLANK = [" ", "   ", "\xa0", "\u1680", "\u2003", "\u202f", "\u3000", " \u200b ", "\ufeff", "\u2060", "\u200d\u200c"]


@pytest.mark.parametrize("text", [*UNPRINTABLE, *BLANK], ids=ascii)
def test_a_name_is_visible_and_cannot_imitate_another(service: Service, text: str) -> None:
    message = "must contain something visible, and no control, line-separator or bidirectional-control characters"
    names = [text] if text in BLANK else [text, f"a{text}b", f"{text}a", f"a{text}"]
    for name in names:
        problem = assert_problem(service.http("POST", "/api/customers/", CUSTOMER | {"name": name}), 422, "name")
        assert problem["errors"][0]["message"] == message
        assert_problem(service.http("PATCH", "/api/customers/1/", {"name": name}), 422, "name")
        order = ORDER | {"items": [ITEM | {"sku": name}]}
        assert_problem(service.http("POST", "/api/orders/", order), 422, "items.0.sku")
        assert_problem(service.http("POST", "/api/orders/1/items/", ITEM | {"sku": name}), 422, "sku")


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
    "identifier",
    ["0", "-1", "9007199254740992", "9" * 20, "9" * 5000, "abc", "1.0", "1e1", "+1", "01", "00", "0x1", "1_0", " 1", "１", "٣"],
)
@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/api/orders/{}/", "order_id"),
        ("GET", "/api/orders/{}/events/", "order_id"),
        ("POST", "/api/orders/{}/pay/", "order_id"),
        ("DELETE", "/api/orders/{}/items/1/", "order_id"),
        ("DELETE", "/api/orders/1/items/{}/", "item_id"),
        ("GET", "/api/customers/{}/", "customer_id"),
        ("DELETE", "/api/customers/{}/", "customer_id"),
    ],
)
def test_an_identifier_is_a_positive_number_with_one_spelling(
    service: Service, method: str, path: str, field: str, identifier: str
) -> None:
    assert_problem(service.http(method, path.format(identifier)), 422, field)


@pytest.mark.parametrize("identifier", ["5\n", "5\r", "5\r\n", "5\x00", "5\u2028", "5\t"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_identifier_with_a_line_break_is_refused(service: Service, db: Database, identifier: str, slash: str) -> None:
    db.sql("INSERT INTO customers (id, email, name) OVERRIDING SYSTEM VALUE VALUES (5, 'a@b.de', 'A')")
    db.sql("INSERT INTO orders (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (5, 5)")
    requests = [("GET", "customers/{}"), ("DELETE", "customers/{}"), ("GET", "orders/{}"), ("POST", "orders/{}/cancel")]
    for method, path in requests:
        answer = service.http(method, f"/api/{path.format(identifier)}{slash}")
        assert answer.status in (404, 422), (method, path, answer.text)
    assert db.sql("SELECT status FROM orders") == [["pending"]]
    db.empty()


@pytest.mark.parametrize("identifier", ["1", "not-a-uuid", "00000000-0000-0000-0000-00000000000"])
def test_a_seed_run_is_identified_by_a_uuid(service: Service, identifier: str) -> None:
    assert_problem(service.http("GET", f"/api/dev/seed/{identifier}/"), 422, "run_id")
    assert_problem(service.http("GET", "/api/dev/seed/00000000-0000-0000-0000-000000000000/"), 404)
    assert_problem(service.http("POST", f"/api/dev/seed/{identifier}/cancel/"), 422, "run_id")
    assert_problem(service.http("POST", "/api/dev/seed/00000000-0000-0000-0000-000000000000/cancel/"), 404)


def test_a_body_is_refused_where_none_is_read(service: Service) -> None:
    assert_problem(service.http("POST", "/api/orders/1/pay/", {"dry_run": True}), 422, "body")
    assert_problem(service.http("POST", "/api/orders/1/pay/", "{}"), 404)


@pytest.mark.parametrize("path", ["/api/orders/1/x", "/api/orders/1//", "/api//orders/1", "/api/orders/1/\n"])
def test_an_unknown_path_is_answered_as_by_api_gateway(service: Service, path: str) -> None:
    answer = service.http("GET", path)
    assert (answer.status, answer.text) == (404, '{"message":"Not Found"}')


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
def test_a_seed_run_has_limits(service: Service, body: dict[str, int], fields: list[str]) -> None:
    assert_problem(service.http("POST", "/api/dev/seed/", body), 422, *fields)
