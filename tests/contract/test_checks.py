"""openapi.json checks requests as pydantic did: for any request, the same verdict names the same fields."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.functions import load_functions
from contract.openapi import load_handler
from local.events import HttpRequest, http_event
from local.routing import Router
from orders.errors import MAX_ERRORS, Problem, shortened
from tests.contract import former_checks
from tests.contract.former_checks import MAX_INTEGER, Verdict, resolver

pytestmark = pytest.mark.slow

# `make fuzz` sends more, and different ones each time.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10")) * 10
FUZZING = "FUZZ_EXAMPLES" in os.environ


class Sent(NamedTuple):
    """A request to one operation. ids, query: before percent-encoding. body: JSON text or empty."""

    method: str
    path: str
    ids: dict[str, str]
    query: list[tuple[str, str | bytes]]
    headers: dict[str, str]
    body: str | bytes


class Field(NamedTuple):
    """edges: values on either side of its bounds, and others that are nearly right. All are texts, even numbers."""

    valid: str
    edges: list[str]

    @property
    def is_number(self) -> bool:
        return self.valid.isdigit()


class Map(NamedTuple):
    """Of metadata. nullable: a null removes the key."""

    most: int
    nullable: bool

    @property
    def valid(self) -> str:
        return '{"colour":"red","size":null}' if self.nullable else '{"colour":"red"}'

    @property
    def edges(self) -> list[str]:
        keys = [*KEY.edges, "__proto__", "constructor", "a.b", "[key]", "0"]
        return [
            *[json.dumps({key: "x"}) for key in keys],
            *[json.dumps({"k": value, "right": "x"}) for value in VALUE.edges],
            *[f'{{"k":{text}}}' for text in ODD_JSON],
            *[json.dumps({str(n): "x" for n in range(count)}) for count in (0, 1, self.most - 1, self.most, self.most + 1)],
            *['{"k":"","k":""}', '{"":1,"\\u0000":null}', '{"\\ud800":"x"}', '{"a\\ud800":1,"\\ud83d\\ude00":"x"}'],
        ]


# The fields of a body by name; a nested mapping has the fields of a list's entries.
Fields = Mapping[str, "Field | Map | Fields"]


def number(low: int, high: int) -> Field:
    near = {low - 1, low, low + 1, high - 1, high, high + 1, -low, -high, low + 2**64, 10 * high}
    return Field(str(low + 1), [str(value) for value in sorted(near)])


def text(least: int, most: int, *others: str, of: Callable[[int], str] = "x".__mul__) -> Field:
    wide = ["é" * most, "😀" * most, "😀" * (most + 1), "e\u0301" * (most // 2 + 1)]
    return Field(of(least + 2), [*[of(n) for n in (least - 1, least, most, most + 1) if n >= 0], *wide, *others])


def email(length: int) -> str:
    return "a@".ljust(length - 2, "b") + ".c" if length >= 5 else "a@b.c"[:length]


HIDDEN = (
    "\x00\x07\n\x1f\x7f\x85\x9f\xa0\xad\u061c\u1680\u200b\u200d\u200e\u202a\u202e\u2028\u2060\u2066\u2069\u3000\ufeff\ufffe"
)
PRINTABLE = [form.format(c) for c in HIDDEN for form in ("{}", "a{}", "{}a", "a{}b", "{0}{0}")] + [
    " ",
    " a ",
    "\U000e0001",
    "𝔸",
]
ADDRESSES = [
    "a@b",
    "a@b.",
    "a@.b",
    "@b.cd",
    "a@b..c",
    "a@b@c.d",
    "a b@c.d",
    "ä@b.cd",
    "a@b.cd\n",
    "a@[1.2]",
    "'@-._",
    "a@b.c.d",
]
NAME, SKU = text(1, 200, *PRINTABLE), text(1, 64, *PRINTABLE)
KEY, VALUE, REFERENCE = text(1, 40, *PRINTABLE), text(0, 500, *PRINTABLE), text(1, 64, *PRINTABLE)
NEW_METADATA, METADATA_CHANGE = Map(20, nullable=False), Map(40, nullable=True)
EMAIL = text(5, 254, *ADDRESSES, of=email)
ITEM = {"sku": SKU, "quantity": number(1, 1_000_000), "unit_price_cents": number(0, 1_000_000_000)}
BODIES: dict[tuple[str, str], Fields] = {
    ("POST", "/api/customers"): {"email": EMAIL, "name": NAME, "metadata": NEW_METADATA},
    ("PATCH", "/api/customers/{customer_id}"): {"email": EMAIL, "name": NAME, "metadata": METADATA_CHANGE},
    ("POST", "/api/orders"): {
        "customer_id": number(1, MAX_INTEGER),
        "items": ITEM,
        "reference": REFERENCE,
        "metadata": NEW_METADATA,
    },
    ("PATCH", "/api/orders/{order_id}"): {"metadata": METADATA_CHANGE},
    ("POST", "/api/orders/{order_id}/items"): ITEM,
    ("POST", "/api/orders/{order_id}/cancel"): {"reason": text(1, 500, *PRINTABLE)},
    ("PATCH", "/api/orders/{order_id}/items/{item_id}"): {name: ITEM[name] for name in ("quantity", "unit_price_cents")},
    ("POST", "/api/dev/seed"): {
        "customers": number(1, 1_000_000),
        "orders_per_customer": number(0, 1_000),
        "items_per_order": number(0, 100),
    },
}
ID = number(1, MAX_INTEGER)
RUN = "01234567-89ab-4cde-8f01-23456789abcd"
IDS = {
    "order_id": ID,
    "item_id": ID,
    "customer_id": ID,
    "run_id": Field(
        RUN,
        [
            *[RUN.upper(), RUN[:-1], RUN + "0", RUN[::-1], "g" + RUN[1:], " " + RUN, RUN + "\n"],
            *[RUN.replace("-", "_"), RUN.replace("-", ""), f"{{{RUN}}}", f"urn:uuid:{RUN}"],
        ],
    ),
}
STATUSES = ["pending", "paid", "shipped", "delivered", "cancelled"]
QUERY = {
    "status": Field("paid", [*STATUSES, "Paid", "payed", "paid ", "null"]),
    "email": text(0, 254, *HIDDEN, "a\x00b", "%", "a,b", "a+b"),
    "customer_id": ID,
    "reference": REFERENCE,
    "limit": number(1, 200),
    "cursor": text(0, 200),
}
HEADERS = {
    "Idempotency-Key": text(0, 300, " ", "a b", "a,b", "é", "\x7f", '"quoted"', "~", "!", "\t"),
    "If-Match": text(0, 300, "*", '"1-2", W/"3"', " ", "é", ","),
    "If-None-Match": text(0, 300, "*", '"1-2", W/"3"', " ", "é", ","),
}
# Including values that make another path, or contain characters that are unusual in one.
ODD_IDS = [*HIDDEN, "1/2", "1\n", "a/", "1;2", '"', "{", "^", "summary", "é", "%2F", "..", "?"]
ODD_TEXTS = [
    "",
    " ",
    "01",
    "+1",
    "-1",
    "1.0",
    "1e1",
    "1_0",
    " 1",
    "1 ",
    "0x1",
    "１",
    "٣",
    "null",
    "true",
    "9" * 20,
    "9" * 5000,
    "a",
]
ODD_JSON = [
    *["null", "true", "false", "[]", "{}", '""', '"1"', "[1]", "[[]]", '[{"sku":1}]', '{"a":{"b":[0]}}', "1.0", "1.5", "1e0"],
    *[
        "1e2",
        "-0",
        "-0.0",
        "1E400",
        "9" * 30,
        "1" * 4000,
        "1" * 5000,
        '"\\ud800"',
        '"a\\udfffb"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
    ],
]
NO_JSON: list[str | bytes] = [
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "NaN",
    '{"a":NaN}',
    "\ufeff{}",
    "{} x",
    b"\xff",
    "[" * 3000,
    '{"a":1,"a":2}',
    "{}",
    " ",
    "",
]
UNKNOWN = ["id", "Email", "sku ", "", "a.b", "0", "x" * 101, "limit", "__proto__", "\ud800", "items", "name", "status"]


HALF_PAIRS = re.compile(r'"(?:[^"\\]|\\.)*"(?=\s*:)')
SPELT_OUT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@cache
def router() -> Router:
    return Router(load_functions())


@cache
def application(function: str) -> Any:
    module = load_handler(function)
    assert module.handler
    return module.app


def ids_of(path: str) -> dict[str, Field]:
    return {name: IDS[name] for name in re.findall(r"{(\w+)}", path)}


# Endpoints that are newer than the former checks cannot be compared.
PRESENT = [(route.method, route.path) for function in load_functions() for route in function.routes]
OPERATIONS = [operation for operation in PRESENT if operation in former_checks.OPERATIONS]
operations = pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(known) for known in OPERATIONS])


def event_of(sent: Sent) -> tuple[dict[str, Any], str] | None:
    """The gateway's event and the function that receives it, or None if the path has no route."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sent.query)
    path = sent.path.format_map({name: quote(value, safe="") for name, value in sent.ids.items()})
    body = sent.body if isinstance(sent.body, bytes) else sent.body.encode()
    headers = [("content-type", "application/json"), *[(name.lower(), value) for name, value in sent.headers.items()]]
    match = router().match(sent.method, path)
    if match is None or match.path_parameters.get("proxy"):
        return None
    request = HttpRequest(sent.method, path, query, headers, body)
    return http_event(request, match.route_key, match.path_parameters, "request", None), match.function


def present(sent: Sent) -> Verdict | None:
    if (known := event_of(sent)) is None:
        return None
    event, function = known
    try:
        _, arguments = application(function).operations[event["routeKey"]].read(event)
    except Problem as problem:
        return Verdict(problem.status, {entry["field"] for entry in problem.errors}, {})
    return Verdict(200, set(), arguments)


def former(sent: Sent) -> Verdict:
    """The verdict of the former checks, or the current verdict where that differs on purpose."""
    known = event_of(as_it_could_be_read(sent))
    assert known is not None
    verdict = resolver.check(known[0])
    counts = Counter(name for name, _ in sent.query)
    expected = application(known[1]).operations[known[0]["routeKey"]].in_query
    # The query is now checked first, and all of its names at once.
    if any(isinstance(value, bytes) for _, value in sent.query):
        assert verdict.status in (400, 422)
        return Verdict(400, set(), {})
    if wrong := {name for name in counts if name not in expected or counts[name] > 1}:
        assert verdict.status in (400, 422)
        return Verdict(422, wrong, {})
    # Then a body that the endpoint does not read.
    if (sent.method, sent.path.removesuffix("/")) not in BODIES and sent.body not in ("", "{}", " "):
        assert verdict.status in (400, 422)
        return Verdict(400, set(), {}) if isinstance(sent.body, bytes) else Verdict(422, {"body"}, {})
    halves = keys_with_half_pairs(sent) if verdict.status in (200, 422) and verdict.fields != {"body"} else set()
    return Verdict(422, verdict.fields | halves, {}) if halves else verdict


def as_it_could_be_read(sent: Sent) -> Sent:
    """Replaces what the former checks could not read by something equally wrong that they could."""

    def readable(name: str, value: str) -> str:
        # Powertools' patterns matched no other characters in a path, so that such an identifier was not found (404).
        if not re.fullmatch(r"[-._~()'!*:@,;=+&$%<> \[\]{}|^\w]*", value):
            return "x"
        # Pydantic accepted a UUID in any spelling, so that a run had several paths; openapi.json has always said format: uuid.
        return value if name != "run_id" or SPELT_OUT.fullmatch(value) else "x"

    # For half of a surrogate pair in a name, pydantic named the whole object and nothing in it.
    body = sent.body if isinstance(sent.body, bytes) else HALF_PAIRS.sub(without_half_pairs, sent.body)
    return sent._replace(ids={name: readable(name, value) for name, value in sent.ids.items()}, body=body)


def keys_with_half_pairs(sent: Sent) -> set[str]:
    """The former checks read these keys as if they were right ones."""
    known = BODIES.get((sent.method, sent.path.removesuffix("/")), {})
    try:
        metadata = json.loads(sent.body).get("metadata") if "metadata" in known else None
    except (ValueError, AttributeError):
        return set()
    keys = metadata if isinstance(metadata, dict) else {}
    halves = {key for key in keys if any("\ud800" <= character <= "\udfff" for character in key)}
    return {f"metadata.{key.encode('utf-8', 'replace').decode()}" for key in halves}


def without_half_pairs(name: re.Match[str]) -> str:
    return json.dumps(json.loads(name[0]).encode("utf-8", "replace").decode())


def assert_same(sent: Sent) -> None:
    verdict = present(sent)
    if verdict is None:
        return
    expected = former(sent)
    assert verdict.status == expected.status, (sent, verdict, expected)
    fields = {shortened(field) for field in expected.fields}
    if len(fields) <= MAX_ERRORS:
        # jsonschema-rs leaves an empty key out of the path to its value.
        unsaid = {"metadata"} if "metadata." in fields else set()
        assert verdict.fields - unsaid == fields - unsaid, sent
    else:
        assert verdict.fields < fields, sent
    for name, value in verdict.arguments.items():
        if isinstance(known := expected.arguments[name], UUID):
            assert UUID(value) == known
        else:
            assert value == known, (sent, name)


def json_of(field: "Field | Map | Fields") -> str:
    """A valid value, as JSON text."""
    if isinstance(field, Map):
        return field.valid
    if isinstance(field, Field):
        return field.valid if field.is_number else json.dumps(field.valid)
    return f"[{object_of(field)}]"


def object_of(fields: Fields, **others: str) -> str:
    members = {name: json_of(field) for name, field in fields.items()} | others
    return f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in members.items())}}}"


def edges_of(field: "Field | Map | Fields") -> list[str]:
    if isinstance(field, Map):
        return field.edges
    if not isinstance(field, Field):
        entries = [[object_of(field)] * count for count in (0, 1, 2, 500, 501)]
        return [f"[{','.join(texts)}]" for texts in entries]
    return [edge if field.is_number else json.dumps(edge) for edge in field.edges] + [json.dumps(edge) for edge in field.edges]


def bodies_with_one_mistake(fields: Fields) -> Iterator[str]:
    """Also some without any."""
    yield "{}"
    for name, field in fields.items():
        yield object_of({other: known for other, known in fields.items() if other != name})
        yield object_of({name: field})
        for text in [*edges_of(field), *ODD_JSON, *map(json.dumps, ODD_TEXTS)]:
            yield object_of(fields, **{name: text})
        if not isinstance(field, Field | Map):
            for text in bodies_with_one_mistake(field):
                yield object_of(fields, **{name: f"[{object_of(field)},{text}]"})
    for name in UNKNOWN:
        yield object_of(fields, **({} if name in fields else {name: "1"}))


@operations
def test_a_single_mistake_is_reported_as_before(method: str, path: str) -> None:
    """Every field and parameter, on both sides of each of its bounds; the rest of the request is valid."""
    fields = BODIES.get((method, path))
    ids = {name: field.valid for name, field in ids_of(path).items()}
    right = Sent(method, path, ids, [], {}, object_of(fields) if fields else "")
    verdict = present(right)
    assert verdict is not None
    assert verdict.status == 200
    for sent in (right, right._replace(path=f"{path}/")):
        assert_same(sent)
        for name, field in ids_of(path).items():
            for value in [*field.edges, *ODD_TEXTS, *ODD_IDS]:
                assert_same(sent._replace(ids={**ids, name: value}))
    for name, field in {**QUERY, "x": Field("1", []), "Limit": Field("1", [])}.items():
        for value in [field.valid, *field.edges, *ODD_TEXTS]:
            assert_same(right._replace(query=[(name, value)]))
        assert_same(right._replace(query=[(name, b"\xff")]))
        assert_same(right._replace(query=[(name, field.valid)] * 2))
    for name, field in HEADERS.items():
        for value in [*field.edges, *ODD_TEXTS]:
            assert_same(right._replace(headers={name: as_header(name, value)}))
    for body in NO_JSON:
        assert_same(right._replace(body=body))
    for text in bodies_with_one_mistake(fields) if fields else []:
        assert_same(right._replace(body=text))


def as_header(name: str, value: str) -> str:
    """As a server reads it, which decodes bytes as Latin-1."""
    read = value.encode().decode("latin-1")
    # The former checks took any text for a list of ETags; control characters in it are refused now.
    return read if name == "Idempotency-Key" else re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", read)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(UNKNOWN), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)


def mostly(valid: str, *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Several mistakes at once, but rarely so many that one hides the rest."""
    return st.one_of(*[st.just(valid)] * 2 * len(others), *others)


def values(field: "Field | Map | Fields") -> st.SearchStrategy[str]:
    others = [st.sampled_from(edges_of(field)), st.sampled_from(ODD_JSON), ANYTHING]
    if isinstance(field, Map):
        others.append(st.dictionaries(st.sampled_from([*KEY.edges, *UNKNOWN]), st.sampled_from(VALUE.edges)).map(json.dumps))
    elif not isinstance(field, Field):
        others.append(st.lists(objects(field), max_size=3).map(lambda entries: f"[{','.join(entries)}]"))
    return mostly(json_of(field), *others)


def objects(fields: Fields) -> st.SearchStrategy[str]:
    unknown = st.dictionaries(st.sampled_from(sorted(set(UNKNOWN) - fields.keys())), ANYTHING, max_size=2)
    missing = st.sets(st.sampled_from(list(fields)), max_size=1)
    known = st.fixed_dictionaries({name: values(field) for name, field in fields.items()})

    def write(known: dict[str, str], missing: set[str], unknown: dict[str, str]) -> str:
        return object_of({}, **{name: text for name, text in known.items() if name not in missing}, **unknown)

    return st.builds(write, known, missing | st.just(set()), unknown | st.just({}))


def requests(method: str, path: str) -> st.SearchStrategy[Sent]:
    def parameter(field: Field, *odd: str | bytes) -> st.SearchStrategy[Any]:
        return mostly(field.valid, st.sampled_from(field.edges), st.sampled_from([*ODD_TEXTS, *odd]), TEXTS)

    query = st.one_of(*[st.tuples(st.just(name), parameter(field, b"\xff")) for name, field in QUERY.items()])
    fields = BODIES.get((method, path))
    known = objects(fields) if fields else st.just("")
    return st.builds(
        Sent,
        st.just(method),
        st.sampled_from([path, f"{path}/"]),
        st.fixed_dictionaries({name: parameter(field, *ODD_IDS) for name, field in ids_of(path).items()}),
        st.lists(query | st.tuples(TEXTS, TEXTS), max_size=3, unique_by=lambda pair: pair[0]) | st.lists(query, max_size=4),
        st.fixed_dictionaries(
            {}, optional={name: parameter(field).map(partial(as_header, name)) for name, field in HEADERS.items()}
        ),
        st.one_of(known, known, known, st.sampled_from(NO_JSON), ANYTHING),
    )


@operations
def test_any_combination_of_mistakes_is_reported_as_before(method: str, path: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not FUZZING,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(method, path))
    def check(sent: Sent) -> None:
        assert_same(sent)

    check()
