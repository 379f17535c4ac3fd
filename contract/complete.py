"""What makes the declarations of all handlers a document for clients: what gateways add, links, names, headers, examples.

Examples are what a running service got and answered: contract/record.py writes examples.json.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from contract.describe import MODELS
from contract.texts import DESCRIPTIONS, GATEWAY, GATEWAY_MESSAGE, HEADERS, MOST_INT32, TAGS
from orders.errors import KINDS, DatabaseUnavailable, Problem
from orders.event_models import EVENTS
from orders.requests import JSON
from orders.responses import PROBLEM_JSON, problem_response

EXAMPLES = Path(__file__).with_name("examples.json")
# What programs call. The files of the console are for its page alone.
LISTED = "/api"
# Where a document contains the parameters of other paths; the links between operations are built from these.
PATH_PARAMETERS = {
    "Order": {"order_id": "$response.body#/id", "item_id": "$response.body#/items/0/id"},
    "Customer": {"customer_id": "$response.body#/id"},
    "Export": {"export_id": "$response.body#/id"},
    "SeedRun": {"run_id": "$response.body#/id"},
    "Webhook": {"webhook_id": "$response.body#/id"},
    "WebhookWithSecret": {"webhook_id": "$response.body#/id"},
    "WebhookDelivery": {"webhook_id": "$response.body#/webhook_id", "delivery_id": "$response.body#/id"},
}

Examples = dict[str, dict[str, Any]]


def complete(declared: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for a tag that TAGS does not describe."""
    examples: Examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    contract: dict[str, Any] = _sized(without(declared, "title"))
    contract["info"] = declared["info"]
    schemas = contract["components"]["schemas"] = _named(contract["components"]["schemas"])
    schemas |= {"GatewayMessage": GATEWAY_MESSAGE}
    contract["components"]["headers"] = {name: {"schema": {"type": "string"}, **header} for name, header in HEADERS.items()}
    contract["components"]["responses"] = _shared(examples)
    shown = {path: item for path, item in contract["paths"].items() if path == "/" or path.startswith(LISTED)}
    contract["paths"] = {_with_slash(path): _named(item) for path, item in shown.items()}
    schemas |= {name: {"type": "string", "enum": values} for name, values in _enumerations().items()}
    operations = [operation for item in contract["paths"].values() for operation in item.values()]
    for operation in operations:
        _link(operation, contract["paths"])
        del operation["x-function"], operation["x-any-query"]
        own = examples.get(operation["operationId"], {})
        _show_request(operation, own)
        _show_answers(operation, own.get("answers", {}))
    _show_events(contract["webhooks"], examples)
    sent = [item["post"] for item in contract["webhooks"].values()]
    used = {tag for operation in [*operations, *sent] for tag in operation["tags"]}
    if unknown := used - TAGS.keys():
        raise ValueError(f"contract/texts.py does not describe these tags: {', '.join(sorted(unknown))}")
    contract["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    _prune_shared(contract)
    prune(contract)
    return contract


def without(node: Any, *keywords: str) -> Any:
    """A copy without these keywords of schemas, whose values are never schemas; fields of the same name stay."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key not in keywords or isinstance(value, dict)}
        return {key: without(value, *keywords) for key, value in kept.items()}
    return [without(value, *keywords) for value in node] if isinstance(node, list) else node


def prune(contract: dict[str, Any]) -> None:
    """Leaves the schemas that are used."""
    schemas = contract["components"]["schemas"]
    used: set[str] = set()
    elsewhere = {**contract, "components": {**contract["components"], "schemas": {}}}
    pending = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(elsewhere)))
    while pending:
        used |= pending
        pending = set(re.findall(r"#/components/schemas/(\w+)", json.dumps([schemas[name] for name in pending]))) - used
    contract["components"]["schemas"] = {name: schemas[name] for name in sorted(used)}


def _prune_shared(contract: dict[str, Any]) -> None:
    """Leaves the responses, and the headers of responses, that are used."""
    components = contract["components"]
    for kind, users in (("responses", contract["paths"]), ("headers", [contract["paths"], components["responses"]])):
        used = set(re.findall(rf"#/components/{kind}/([\w-]+)", json.dumps(users)))
        components[kind] = {name: value for name, value in components[kind].items() if name in used}


def _with_slash(path: str) -> str:
    """The one spelling of the document; what looks like a file has no slash."""
    return path if path.endswith("/") or "." in path.rpartition("/")[2] else f"{path}/"


def _sized(node: Any) -> Any:
    """Integers with their format, without which some take 32 bits; arrays with `items`, without which some know no type."""
    if isinstance(node, dict):
        sized = {key: _sized(value) for key, value in node.items()}
        if node.get("type") == "integer" and "format" not in node:
            sized["format"] = "int64" if node.get("maximum", MOST_INT32 + 1) > MOST_INT32 else "int32"
        if "prefixItems" in node and "items" not in node:
            sized["items"] = sized["prefixItems"][-1]
        return sized
    return [_sized(value) for value in node] if isinstance(node, list) else node


def _enumerations() -> dict[str, list[str]]:
    """Those of the models, by name."""
    several = {name: get_args(kind) for name, kind in MODELS.items() if get_origin(kind) is Literal and get_args(kind)[1:]}
    return {**{name: [*values] for name, values in several.items()}, "EventType": list(EVENTS), "WantedType": ["*", *EVENTS]}


def _named(node: Any) -> Any:
    """Each enumeration of the models by its name, so that a generator makes one type of it and not one per field."""
    if isinstance(node, dict):
        for name, values in _enumerations().items():
            if node.get("enum") == values:
                return {"$ref": f"#/components/schemas/{name}"}
        return {key: _named(value) for key, value in node.items()}
    return [_named(value) for value in node] if isinstance(node, list) else node


def _link(operation: dict[str, Any], paths: dict[str, Any]) -> None:
    for response in operation["responses"].values():
        reference = response.get("content", {}).get(JSON, {}).get("schema", {}).get("$ref", "")
        known = PATH_PARAMETERS.get(reference.rpartition("/")[2], {})
        links = {
            target["operationId"]: {"operationId": target["operationId"], "parameters": {name: known[name] for name in names}}
            for path, operations in paths.items()
            for target in operations.values()
            if (names := re.findall(r"{(\w+)}", path)) and set(names) <= known.keys()
        }
        if links:
            response["links"] = links


def _shared(examples: Examples) -> dict[str, Any]:
    """A response for each status that is refused in the same way everywhere. An example of one operation stands for all."""
    recorded: dict[str, Any] = {}
    for own in examples.values():
        recorded = {**own["answers"], **recorded}
    recorded["503"] = _made(DatabaseUnavailable("The database cannot be reached."), "Cache-Control", "Retry-After")
    shared = {_name(status): _refusal(status, recorded.get(str(status), {})) for status in KINDS.keys() - DESCRIPTIONS.keys()}
    for status in DESCRIPTIONS:
        headers = _headers(["WWW-Authenticate"] if status in (401, 403) else [])
        shared[_name(status)] = {"description": DESCRIPTIONS[status], **headers, "content": _gateway_content(GATEWAY[status])}
    anything = _gateway_content("Internal Server Error")
    shared["GatewayAnswer"] = {"description": "Whatever else API Gateway answers itself.", "content": anything}
    return dict(sorted(shared.items()))


def _made(problem: Problem, *headers: str) -> dict[str, Any]:
    """An answer that the walk, on a healthy service that asks for no token, does not get."""
    return {"headers": list(headers), "bodies": {PROBLEM_JSON: json.loads(problem_response(problem)["body"])}}


def _name(status: int) -> str:
    return re.sub(r"\W", "", (KINDS[status][0] if status in KINDS else GATEWAY[status]).title())


def _refusal(status: int, recorded: dict[str, Any]) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, **_example(recorded, PROBLEM_JSON)}}
    if status in GATEWAY:
        content |= _gateway_content(GATEWAY[status])
    return {"description": f"{KINDS[status][1]}.", **_headers(recorded.get("headers", [])), "content": content}


def _gateway_content(message: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": "#/components/schemas/GatewayMessage"}, "example": {"message": message}}}


def _headers(names: list[str]) -> dict[str, Any]:
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {}


def _example(recorded: dict[str, Any], media_type: str) -> dict[str, Any]:
    return {"example": recorded["bodies"][media_type]} if media_type in recorded.get("bodies", {}) else {}


def _show_request(operation: dict[str, Any], own: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter.setdefault("description", f"The id of the {parameter['name'].removesuffix('_id').replace('_', ' ')}.")
        if parameter["name"] in own.get("parameters", {}):
            parameter["example"] = own["parameters"][parameter["name"]]
    if "requestBody" in operation:
        operation["requestBody"]["content"][JSON] |= {"example": own["body"]} if "body" in own else {}


def _show_events(webhooks: dict[str, Any], examples: Examples) -> None:
    """Each event as the feed had it."""
    feed = examples.get("list_events", {}).get("events", {})
    for name, item in webhooks.items():
        summary = item["post"]["summary"]
        item["post"]["description"] = f"{summary} Sent to webhooks that want `{name}`, as the feed shows it."
        item["post"]["requestBody"]["content"][JSON] |= {"example": feed[name]} if name in feed else {}


def _show_answers(operation: dict[str, Any], recorded: dict[str, Any]) -> None:
    """Successes with their recorded headers and bodies; refusals likewise, or the shared one if this was not recorded."""
    responses = operation["responses"]
    for status, response in responses.items():
        answer = recorded.get(status, {})
        if status == "403":
            answer = _made(Problem(403, "Exports of orders also need the scope orders/read."), "WWW-Authenticate")
        if int(status) in KINDS:
            own = _refusal(int(status), answer)
            responses[status] = own if answer else {"$ref": f"#/components/responses/{_name(int(status))}"}
            continue
        response.update(_headers(answer.get("headers", [])))
        for media_type, content in response.get("content", {}).items():
            content["schema"] = content["schema"] or {"type": "object" if media_type == JSON else "string"}
            content.update(_example(answer, media_type))
    for status in (401, 403, 429) if operation["security"] else (429,):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{_name(status)}"})
    responses["default"] = {"$ref": "#/components/responses/GatewayAnswer"}
    operation["responses"] = dict(sorted(responses.items()))
