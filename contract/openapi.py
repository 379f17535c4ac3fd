"""Generates from the routes that the handlers declare: openapi.json, operations.json, and the table of docs/api.md.

`python -m contract.openapi` writes all three; `--check` only tells whether they are up to date (exit status 1 if not).
"""

import importlib.util
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

from contract.complete import complete, prune, without
from contract.describe import describe
from contract.functions import FUNCTIONS, OPENAPI, OPERATIONS, ROOT
from orders.event_models import EVENTS
from orders.requests import JSON

API_PAGE = ROOT / "docs" / "api.md"
CHECKED = ("in", "name", "required", "schema")
TABLE = re.compile(r"(<!-- endpoints: made by `make openapi` -->\n).*?(<!-- /endpoints -->)", re.DOTALL)
# Variables that handlers read when they are imported; the values do not matter here.
PLACEHOLDERS = {
    "EXPORTS_BUCKET": "-",
    "QUEUE_LEASES": "{}",
    "SEED_MAX_UNFINISHED_ROWS": "1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def build() -> dict[str, Any]:
    """The contract as clients read it."""
    return complete(declared())


def declared() -> dict[str, Any]:
    """The schemas of all handlers, merged. Paths have API Gateway's form, without trailing slash."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [author] = project["authors"]
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Orders",
            "version": project["version"],
            "description": "Customers, orders, items. Money is integer cents, times are RFC 3339 in UTC, errors are RFC 9457.",
            "contact": author,
            "license": {"name": project["license"], "identifier": project["license"]},
        },
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "paths": {},
        "webhooks": _webhooks(),
        "components": {"schemas": {}, "securitySchemes": {"oauth2": {}}},
    }
    for schema in _schemas():
        for path, operations in schema["paths"].items():
            merged["paths"].setdefault(path, {}).update(operations)
        merged["components"]["schemas"].update(schema.get("components", {}).get("schemas", {}))
    merged["paths"] = dict(sorted(merged["paths"].items()))
    _finish(merged)
    return cast(dict[str, Any], _with_integers(merged))


def checked(contract: dict[str, Any]) -> dict[str, Any]:
    """Of what is declared only what routing and checking a request need."""
    paths: dict[str, Any] = {}
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            kept: dict[str, Any] = {
                "function": operation["x-function"],
                "scopes": scopes_of(operation),
                "statuses": sorted(int(status) for status in operation["responses"]),
            }
            if operation["x-any-query"]:
                kept["any_query"] = True
            if "parameters" in operation:
                kept["parameters"] = [{key: parameter[key] for key in CHECKED} for parameter in operation["parameters"]]
            if "requestBody" in operation:
                kept["requestBody"] = operation["requestBody"]
            paths.setdefault(path, {})[method] = kept
    needed = {"paths": paths, "components": {"schemas": contract["components"]["schemas"]}}
    prune(needed)
    return cast(dict[str, Any], without(needed, "title", "description", "examples"))


def scopes_of(operation: dict[str, Any]) -> list[str]:
    return [scope for requirement in operation["security"] for scope in requirement["oauth2"]]


def load_handler(name: str) -> Any:
    """The module of a function. In Lambda each is named `handler`; here, where all are loaded, each has its own name."""
    os.environ.update({variable: value for variable, value in PLACEHOLDERS.items() if variable not in os.environ})
    spec = importlib.util.spec_from_file_location(f"functions.{name}.handler", FUNCTIONS / name / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As in Lambda, its folder comes first.
    sys.path.insert(0, str(FUNCTIONS / name))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FUNCTIONS / name))
    return module


def _schemas() -> list[dict[str, Any]]:
    schemas = []
    for file in sorted(FUNCTIONS.glob("*/handler.py")):
        module = load_handler(file.parent.name)
        if hasattr(module, "app"):
            schemas.append(describe(module.app.endpoints, file.parent.name))
    return schemas


def _finish(contract: dict[str, Any]) -> None:
    """What no single handler can say: security, links between operations, and only the schemas that are used."""
    scopes: set[str] = set()
    for operations in contract["paths"].values():
        for operation in operations.values():
            operation.setdefault("security", [])
            scopes.update(scopes_of(operation))
            for parameter in operation.get("parameters", []):
                _drop_null(parameter)
                if parameter["in"] == "header":
                    parameter["name"] = "-".join(word.capitalize() for word in parameter["name"].split("-"))
    # The laptop's addresses; each deployment serves the document with its own.
    granted = {"tokenUrl": "/oauth2/token", "scopes": {scope: _allows(scope) for scope in sorted(scopes)}}
    contract["components"]["securitySchemes"]["oauth2"] = {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {"authorizationUrl": "/oauth2/authorize", **granted},
            "clientCredentials": granted,
        },
    }
    prune(contract)


def _webhooks() -> dict[str, Any]:
    """What is sent to those who want to know: each event as the feed shows it."""
    return {
        name: {
            "post": {
                "operationId": f"on_{name.replace('.', '_')}",
                "summary": event.__doc__,
                "tags": ["Webhooks"],
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{event.__name__}"}}},
                },
                "responses": {"2XX": {"description": "It was received."}},
                "security": [],
            }
        }
        for name, event in EVENTS.items()
    }


def _allows(scope: str) -> str:
    """What docs/api.md says that a scope allows. Raises ValueError if it says nothing."""
    found = re.search(rf"^\| `{scope}` \| (.+) \|$", API_PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"docs/api.md does not explain the scope {scope}")
    return found[1].replace("`", "")


def _drop_null(parameter: dict[str, Any]) -> None:
    """An optional parameter is not a nullable one: query strings and headers have no null."""
    alternatives = parameter["schema"].pop("anyOf", [])
    for schema in alternatives:
        if schema != {"type": "null"}:
            parameter["schema"].update(schema)
    parameter["schema"].pop("description", None)


def _with_integers(node: Any) -> Any:
    """Powertools stores every bound as a float."""
    if isinstance(node, dict):
        return {key: _with_integers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_integers(value) for value in node]
    return int(node) if isinstance(node, float) else node


def endpoint_table(contract: dict[str, Any]) -> str:
    lines = ["| call | does | scope |", "|---|---|---|"]
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            scopes = ", ".join(f"`{scope}`" for scope in scopes_of(operation))
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} | {scopes or 'open'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    declarations = declared()
    checks = checked(declarations)
    contract = complete(declarations)
    page = API_PAGE.read_text(encoding="utf-8")
    wanted: dict[Path, str] = {
        OPENAPI: json.dumps(contract, indent=2, ensure_ascii=False) + "\n",
        OPERATIONS: json.dumps(checks, indent=1) + "\n",
        API_PAGE: TABLE.sub(lambda match: match[1] + endpoint_table(contract) + match[2], page),
    }
    outdated = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for file in outdated:
            print(f"{file.name} is out of date; run `make openapi`")
        sys.exit(bool(outdated))
    for file in outdated:
        file.write_text(wanted[file], encoding="utf-8")
        print(f"wrote {file.name}")


if __name__ == "__main__":
    main()
