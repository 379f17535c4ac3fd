"""Generates openapi.json, and the endpoint table of docs/api.md, from the routes that the handlers declare.

`python -m contract.openapi` writes both; `--check` only tells whether they are up to date (exit status 1 if not).
"""

import importlib.util
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

from contract.describe import describe
from contract.functions import FUNCTIONS, OPENAPI, ROOT
from orders.event_models import EVENTS
from orders.requests import JSON

API_PAGE = ROOT / "docs" / "api.md"
# What people look for in the table; the files of the console are not.
LISTED = "/api"
TABLE = re.compile(r"(<!-- endpoints: made by `make openapi` -->\n).*?(<!-- /endpoints -->)", re.DOTALL)
# Variables that handlers read when they are imported; the values do not matter here.
PLACEHOLDERS = {
    "QUEUE_LEASES": "{}",
    "SEED_MAX_UNFINISHED_ROWS": "1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
GATEWAY_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
# Where a document contains the parameters of other paths; the links between operations are built from these.
PATH_PARAMETERS = {
    "Order": {"order_id": "$response.body#/id", "item_id": "$response.body#/items/0/id"},
    "Customer": {"customer_id": "$response.body#/id"},
    "SeedRun": {"run_id": "$response.body#/id"},
}


def build() -> dict[str, Any]:
    """The contract: the schemas of all handlers, merged."""
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Orders",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
            "description": "Customers, orders, items. Money is integer cents, times are RFC 3339 in UTC, errors are RFC 9457.",
        },
        "servers": [{"url": "/"}],
        "paths": {},
        "webhooks": _webhooks(),
        "components": {"schemas": {}, "securitySchemes": {"oauth2": {}}},
    }
    for schema in _schemas():
        for path, operations in schema["paths"].items():
            merged["paths"].setdefault(path, {}).update(operations)
        merged["components"]["schemas"].update(schema.get("components", {}).get("schemas", {}))
    merged["paths"] = dict(sorted(merged["paths"].items()))
    merged["components"]["schemas"]["GatewayMessage"] = GATEWAY_MESSAGE
    _finish(merged)
    return cast(dict[str, Any], _with_integers(merged))


def load_handler(name: str) -> Any:
    """The module of a function. In Lambda each is named `handler`; here, where all are loaded, each has its own name."""
    os.environ.update({variable: value for variable, value in PLACEHOLDERS.items() if variable not in os.environ})
    spec = importlib.util.spec_from_file_location(f"functions.{name}.handler", FUNCTIONS / name / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _schemas() -> list[dict[str, Any]]:
    schemas = []
    for file in sorted(FUNCTIONS.glob("*/handler.py")):
        module = load_handler(file.parent.name)
        if hasattr(module, "app"):
            schemas.append(describe(module.app.endpoints))
    return schemas


def _finish(contract: dict[str, Any]) -> None:
    """What no single handler can say: security, links between operations, and only the schemas that are used."""
    scopes: set[str] = set()
    for operations in contract["paths"].values():
        for operation in operations.values():
            operation.setdefault("security", [])
            scopes.update(scope for requirement in operation["security"] for scope in requirement["oauth2"])
            _link(operation, contract["paths"])
            for parameter in operation.get("parameters", []):
                _drop_null(parameter)
                if parameter["in"] == "header":
                    parameter["name"] = "-".join(word.capitalize() for word in parameter["name"].split("-"))
            _add_what_the_gateway_answers(operation)
    # The laptop's addresses; each deployment serves the document with its own.
    granted = {"tokenUrl": "/oauth2/token", "scopes": dict.fromkeys(sorted(scopes), "")}
    contract["components"]["securitySchemes"]["oauth2"] = {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {"authorizationUrl": "/oauth2/authorize", **granted},
            "clientCredentials": granted,
        },
    }
    _prune(contract)


def _webhooks() -> dict[str, Any]:
    """What is sent to those who want to know: each event as the feed shows it."""
    return {
        name: {
            "post": {
                "summary": event.__doc__,
                "tags": ["Events"],
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{event.__name__}"}}},
                },
                "responses": {"2XX": {"description": "It was received"}},
            }
        }
        for name, event in EVENTS.items()
    }


def _link(operation: dict[str, Any], paths: dict[str, Any]) -> None:
    for response in operation["responses"].values():
        reference = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
        known = PATH_PARAMETERS.get(reference.rpartition("/")[2], {})
        links = {
            target["operationId"]: {"operationId": target["operationId"], "parameters": {name: known[name] for name in names}}
            for path, operations in paths.items()
            for target in operations.values()
            if (names := re.findall(r"{(\w+)}", path)) and set(names) <= known.keys()
        }
        if links:
            response["links"] = links


def _add_what_the_gateway_answers(operation: dict[str, Any]) -> None:
    """401, 403, 429 and the like never reach a function, nor does a path that matches no route, or a body over 6 MB."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}}
    operation["responses"]["default"] = {"description": "API Gateway's own answer", "content": content}
    for status in {"404", "413"} & operation["responses"].keys():
        operation["responses"][status]["content"] |= content


def _drop_null(parameter: dict[str, Any]) -> None:
    """An optional parameter is not a nullable one: query strings and headers have no null."""
    alternatives = parameter["schema"].pop("anyOf", [])
    for schema in alternatives:
        if schema != {"type": "null"}:
            parameter["schema"].update(schema)


def _with_integers(node: Any) -> Any:
    """Powertools stores every bound as a float."""
    if isinstance(node, dict):
        return {key: _with_integers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_integers(value) for value in node]
    return int(node) if isinstance(node, float) else node


def _prune(contract: dict[str, Any]) -> None:
    schemas = contract["components"]["schemas"]
    used: set[str] = set()
    pending = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(contract["paths"])))
    while pending:
        used |= pending
        pending = set(re.findall(r"#/components/schemas/(\w+)", json.dumps([schemas[name] for name in pending]))) - used
    contract["components"]["schemas"] = {name: schemas[name] for name in sorted(used)}


def endpoint_table(contract: dict[str, Any]) -> str:
    lines = ["| call | does | scope |", "|---|---|---|"]
    for path, operations in contract["paths"].items():
        if not path.startswith(LISTED) and path != "/":
            continue
        for method, operation in operations.items():
            scopes = ", ".join(f"`{scope}`" for requirement in operation["security"] for scope in requirement["oauth2"])
            slash = "" if path == "/" or "." in path else "/"
            lines.append(f"| `{method.upper()} {path}{slash}` | {operation['summary']} | {scopes or 'open'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    contract = build()
    page = API_PAGE.read_text(encoding="utf-8")
    wanted: dict[Path, str] = {
        OPENAPI: json.dumps(contract, indent=2) + "\n",
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
