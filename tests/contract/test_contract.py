"""What holds for every operation and schema of openapi.json, so that strict generators and agents take it as it is."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from contract.functions import OPENAPI, OPERATIONS
from contract.openapi import checked, declared
from contract.texts import GATEWAY, TAGS
from orders.limits import MAX_INTEGER

CONTRACT: dict[str, Any] = json.loads(OPENAPI.read_text())
COMPONENTS: dict[str, Any] = CONTRACT["components"]
EVERY: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method, path, operation)
    for path, item in CONTRACT["paths"].items()
    for method, operation in item.items()
}
operations = pytest.mark.parametrize("name", EVERY)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        _, kind, name = node["$ref"].removeprefix("#/").split("/")
        node = COMPONENTS[kind][name]
    return node


def answers(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, response in operation["responses"].items():
        yield status, resolved(response)


def found(node: Any, wanted: Callable[[dict[str, Any]], object]) -> Iterator[dict[str, Any]]:
    """All objects in a document that are as wanted, except in examples."""
    if isinstance(node, dict):
        if wanted(node):
            yield node
        for key, value in node.items():
            if key not in ("example", "examples", "default"):
                yield from found(value, wanted)
    elif isinstance(node, list):
        for value in node:
            yield from found(value, wanted)


def assert_valid(value: Any, schema: dict[str, Any]) -> None:
    whole = {"components": {"schemas": COMPONENTS["schemas"]}, "allOf": [schema]}
    Draft202012Validator(whole, validate_formats=True).validate(value)


def test_what_checks_requests_is_what_clients_read() -> None:
    assert json.loads(OPERATIONS.read_text()) == checked(declared())


@operations
def test_an_operation_is_described_by_more_than_its_summary(name: str) -> None:
    _, path, operation = EVERY[name]
    assert operation["summary"].endswith(".")
    # Agents get the description without the summary.
    assert operation["description"].startswith(f"{operation['summary']} ")
    assert name.isidentifier()
    assert path.endswith("/") != ("." in path.rpartition("/")[2])
    [tag] = operation["tags"]
    assert tag in TAGS


def test_no_two_operations_have_the_same_description() -> None:
    assert len({operation["description"] for _, _, operation in EVERY.values()}) == len(EVERY)


def test_tags_are_described_and_begin_with_orders() -> None:
    everything = [operation for _, _, operation in EVERY.values()] + [item["post"] for item in CONTRACT["webhooks"].values()]
    assert CONTRACT["tags"][0]["name"] == "Orders"
    assert {tag["name"] for tag in CONTRACT["tags"]} == {tag for operation in everything for tag in operation["tags"]}
    assert all(tag["description"] for tag in CONTRACT["tags"])
    assert {"name", "identifier"} == CONTRACT["info"]["license"].keys()
    assert CONTRACT["info"]["contact"]["name"]


@operations
def test_every_parameter_is_described_and_has_a_valid_example(name: str) -> None:
    for parameter in EVERY[name][2].get("parameters", []):
        assert parameter["description"].endswith("."), parameter["name"]
        assert "example" in parameter, f"contract/record.py calls {name} without {parameter['name']}"
        assert_valid(parameter["example"], parameter["schema"])


@operations
def test_every_body_and_answer_has_a_valid_example(name: str) -> None:
    _, _, operation = EVERY[name]
    bodies = [(name, operation["requestBody"])] if "requestBody" in operation else []
    for where, message in [*bodies, *answers(operation)]:
        for media_type, content in message.get("content", {}).items():
            assert "example" in content, f"contract/record.py does not show {name}: {where} {media_type}"
            assert_valid(content["example"], content["schema"])


@operations
def test_every_refusal_and_its_headers_are_documented(name: str) -> None:
    _, _, operation = EVERY[name]
    documented = dict(answers(operation))
    gateway = {"401", "403", "429"} if operation["security"] else {"429"}
    assert gateway | {"default"} <= documented.keys()
    for status in gateway:
        assert documented[status]["content"]["application/json"]["example"] == {"message": GATEWAY[int(status)]}
    assert "Retry-After" in documented["503"]["headers"]
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status, answer in documented.items():
        headers = answer.get("headers", {}).keys()
        if status in ("200", "201", "202") and "Idempotency-Key" in names:
            assert {"Idempotency-Replayed", "Location"} <= headers, status
        if status in ("200", "201", "304") and names & {"If-Match", "If-None-Match"}:
            assert "ETag" in headers, status
        if status < "400":
            assert "Cache-Control" in headers, status


def test_integers_have_bounds_that_a_double_can_hold() -> None:
    described = [[operation.get("parameters", []) for _, _, operation in EVERY.values()], *COMPONENTS.values()]
    integers = list(found(described, lambda node: node.get("type") == "integer"))
    assert integers
    for schema in integers:
        assert -MAX_INTEGER <= schema["minimum"] <= schema["maximum"] <= MAX_INTEGER, schema
        assert schema["format"] in ("int32", "int64")


def test_enumerations_have_names() -> None:
    named = {name for name, schema in COMPONENTS["schemas"].items() if "enum" in schema}
    assert named >= {"OrderStatus", "OrderAction", "EventType"}
    elsewhere = [schema for name, schema in COMPONENTS["schemas"].items() if name not in named]
    assert not list(found([CONTRACT["paths"], elsewhere], lambda node: "enum" in node))


def test_a_union_is_nullable_or_has_a_discriminator() -> None:
    for union in found(CONTRACT, lambda node: "anyOf" in node or "oneOf" in node):
        others = [option for option in union.get("anyOf") or union["oneOf"] if option != {"type": "null"}]
        assert len(others) == 1 or "discriminator" in union, union
