"""Requests checked against operations.json: what openapi.json says of requests, which is quicker to read than all of it.

Both are made by one command from one declaration, so that they cannot drift. A function loads its own operations.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from orders.errors import Problem, all_invalid, invalid
from orders.files import read_beside
from orders.limits import PATTERN_MESSAGES
from orders.requests import HALF_PAIR, JSON, MAX_DIGITS, NO_BODY, Event, Request, read_json, without_half_pairs

SCHEMA = re.compile(r'"#/components/schemas/(\w+)"')
# An order of 500 items has 2,002 fields and entries. Errors in twice as many are not worth listing one by one.
MAX_PARTS = 4_000
# Twice as many as any field may have. For each wrong key jsonschema-rs copies the whole object, so that 4,000 take minutes.
MAX_KEYS = 80
DIGITS = "must be a whole number in decimal digits, without leading zeros"
TYPES = {"array": "a list", "integer": "a whole number", "object": "a JSON object", "string": "a text"}
TYPES |= {"boolean": "true or false"}
# By the JSON Schema keyword that was violated, with what it requires.
MESSAGES = {
    "format": "must be a {format}",
    "maximum": "must be at most {limit}",
    "maxItems": "must have at most {limit} entries",
    "maxLength": "must have at most {limit} characters",
    "maxProperties": "must have at most {limit} keys",
    "minimum": "must be at least {limit}",
    "minItems": "must have {limit} or more entries",
    "minLength": "must have {limit} or more characters",
    "minProperties": "must name at least one field",
}


class Operation:
    """How a request to one operation becomes the arguments of its handler.

    A parameter becomes the argument of the same name in snake case. The body becomes the remaining argument.
    """

    def __init__(self, contract: dict[str, Any], method: str, path: str, function: Callable[..., Any]) -> None:
        self.function, self.path = function, path
        operation = contract["paths"][path][method.lower()]
        self.statuses = set(operation["statuses"])
        self.any_query = operation.get("any_query", False)
        # argument → its name in the request
        self.names: dict[str, str] = {}
        self.in_path: list[tuple[str, str]] = []
        self.in_query: dict[str, str] = {}
        self.in_header: list[tuple[str, str]] = []
        self.integers: set[str] = set()
        properties, required = {}, []
        for parameter in operation.get("parameters", []):
            argument = parameter["name"].lower().replace("-", "_")
            self.names[argument] = parameter["name"]
            if parameter["in"] == "path":
                self.in_path.append((parameter["name"], argument))
            elif parameter["in"] == "query":
                self.in_query[parameter["name"]] = argument
            else:
                self.in_header.append((parameter["name"].lower(), argument))
            properties[argument] = parameter["schema"]
            required += [argument] if parameter["required"] else []
            if parameter["schema"]["type"] == "integer":
                self.integers.add(argument)
        self.body: str | None = None
        if "requestBody" in operation:
            # The first argument is the request itself.
            [self.body] = set(function.__code__.co_varnames[1 : function.__code__.co_argcount]) - self.names.keys()
            properties[self.body] = operation["requestBody"]["content"][JSON]["schema"]
            required += [self.body] if operation["requestBody"].get("required") else []
        schema = {"type": "object", "properties": properties, "required": required}
        schemas = _referred_to(schema, contract["components"]["schemas"])
        self.defaults = _defaults(operation.get("requestBody"), schemas)
        # Regular expressions that run in linear time, since clients choose the text they search.
        self.validator = Draft202012Validator(
            {**schema, "components": {"schemas": schemas}}, pattern_options=RegexOptions(), validate_formats=True
        )

    def read(self, event: Event) -> tuple[Request, dict[str, Any]]:
        """The request and the handler's arguments. Raises Problem for anything the contract does not allow."""
        found: dict[str, Any] = {}
        request = Request(event, self.path, found)
        for name, argument in self.in_path:
            found[argument] = self._value(argument, event["pathParameters"][name])
        if event["rawQueryString"] and not self.any_query:
            self._read_query(request, found)
        for name, argument in self.in_header:
            if name in event["headers"]:
                found[argument] = event["headers"][name]
        if self.body is not None or "body" in event:
            self._read_body(request, found)
        self._check(found)
        return request, found

    def _value(self, argument: str, text: str) -> Any:
        """A number if the schema wants one and the text is one; any other text then fails the type check."""
        if argument not in self.integers or not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
            return text
        return int(text[:MAX_DIGITS])

    def _read_query(self, request: Request, found: dict[str, Any]) -> None:
        known, unknown = self.in_query, f"unknown query parameter; this endpoint takes {', '.join(self.in_query) or 'none'}"
        problems = []
        for name, text in request.query():
            if name not in known:
                problems.append({"field": name, "message": unknown})
            elif known[name] in found:
                problems.append({"field": name, "message": "is given more than once"})
            else:
                found[known[name]] = self._value(known[name], text)
        if problems:
            raise all_invalid(problems)

    def _read_body(self, request: Request, found: dict[str, Any]) -> None:
        text = request.body(self.statuses)
        if self.body is None:
            if text.strip() not in ("", "{}"):
                raise invalid("body", NO_BODY)
        elif text:
            found[self.body] = {**self.defaults, **read_json(text)}
        elif self.defaults:
            found[self.body] = self.defaults

    def _check(self, found: dict[str, Any]) -> None:
        try:
            if self.validator.is_valid(found):
                return
            if self.body in found and _has_more_parts(found[self.body], MAX_PARTS):
                raise invalid("body", "contains more objects and fields than any request needs")
            for name, value in found.get(self.body or "", {}).items():
                if isinstance(value, dict) and len(value) > MAX_KEYS:
                    raise invalid(name, "has more keys than any field may have")
            entries = [entry for error in self.validator.iter_errors(found) for entry in self._entries(error)]
        except UnicodeEncodeError:
            self._check(without_half_pairs(found))
            return
        except ValueError:
            # jsonschema-rs goes less deep than Python's parser.
            raise Problem(400, "The body is nested too deeply.") from None
        # The first error of each field is enough: a string that is too short need not be told its pattern as well.
        raise all_invalid(list({entry["field"]: entry for entry in reversed(entries)}.values())[::-1])

    def _entry(self, path: Sequence[str | int], message: str) -> dict[str, str]:
        """By the name that the client gave it: a parameter's name, or a dotted path into the body."""
        argument, *inside = map(str, path)
        return {"field": self.names.get(argument) or ".".join(inside) or "body", "message": message}

    def _entries(self, error: ValidationError) -> list[dict[str, str]]:
        kind, details, path = error.kind.name, error.kind.as_dict(), error.instance_path
        if kind == "additionalProperties":
            return [self._entry([*path, name], "unknown field") for name in details["unexpected"]]
        if kind == "required":
            return [self._entry([*path, details["property"]], "is missing")]
        if kind == "propertyNames":
            key = details["error"]
            return [self._entry([*path, key.instance], f"as a key, {_message(key.kind.name, key.kind.as_dict())}")]
        if kind == "anyOf":
            # A value that may be null. If it is not, it is no proper value either.
            return [entry for nested in details["context"][0] for entry in self._entries(nested)]
        if kind == "type" and error.instance == HALF_PAIR:
            return [self._entry(path, "must not contain half of a surrogate pair")]
        number = kind == "type" and path[0] in self.integers
        return [self._entry(path, DIGITS if number else _message(kind, details))]


def _message(kind: str, details: dict[str, Any]) -> str:
    if kind == "pattern":
        return PATTERN_MESSAGES[details["pattern"]]
    if kind == "type":
        return f"must be {' or '.join(TYPES[name] for name in details['types'])}"
    if kind == "enum":
        *others, last = [f"'{option}'" for option in details["options"]]
        return f"must be {', '.join(others)} or {last}"
    return MESSAGES[kind].format_map(details)


def openapi() -> str:
    return read_beside(__file__, "openapi.json")


@cache
def contract() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(read_beside(__file__, "operations.json")))


def _has_more_parts(value: Any, than: int) -> bool:
    count, pending = 0, [value]
    while pending and count <= than:
        part = pending.pop()
        if isinstance(part, dict | list):
            count += len(part)
            pending.extend(part.values() if isinstance(part, dict) else part)
    return count > than


def _referred_to(schema: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """Only the schemas that this one needs: a validator of all takes milliseconds to build."""
    needed: dict[str, Any] = {}
    pending = set(SCHEMA.findall(json.dumps(schema)))
    while pending:
        needed |= {name: schemas[name] for name in pending}
        pending = set(SCHEMA.findall(json.dumps([schemas[name] for name in pending]))) - needed.keys()
    return needed


def _defaults(body: dict[str, Any] | None, schemas: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body that have a value when they are left out."""
    if body is None:
        return {}
    name = body["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    return {field: schema["default"] for field, schema in schemas[name]["properties"].items() if "default" in schema}
