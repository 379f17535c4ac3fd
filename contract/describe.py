"""What a handler declares, as OpenAPI: by Powertools and pydantic, neither of which a function imports at run time."""

import inspect
import json
from typing import Annotated, Any, get_type_hints, is_typeddict

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.models import OAuth2, OAuthFlows
from aws_lambda_powertools.event_handler.openapi.params import Body

from orders import event_models, export_models, mail_models, models, parameters, requests, responses, webhook_models
from orders.api import Endpoint
from orders.errors import KINDS
from orders.requests import JSON
from orders.responses import PROBLEM_JSON

DESCRIPTIONS = {
    200: "The answer",
    201: "It was created",
    202: "It was queued",
    204: "It was deleted",
    304: "It has not changed",
}
ALWAYS = {400, 422, 503}
WITH_BODY = {413, 415}
MODELS = {**vars(models), **vars(event_models), **vars(export_models), **vars(mail_models), **vars(webhook_models)}
# The names that handlers' annotations may use; at run time they have no meaning.
NAMES = {**vars(requests), **vars(responses), **vars(parameters), **MODELS}
# Powertools requires the scheme that routes name; its flows are filled in once all scopes are known.
SECURITY_SCHEMES: dict[str, Any] = {"oauth2": OAuth2(flows=OAuthFlows())}


def describe(endpoints: list[Endpoint], folder: str) -> dict[str, Any]:
    """The OpenAPI document of one function, whose folder each operation says as `x-function`; its name is the handler's."""
    resolver = APIGatewayHttpResolver(enable_validation=True)
    for endpoint in endpoints:
        summary, _, description = (endpoint.function.__doc__ or "").partition("\n")
        resolver.route(
            endpoint.path.replace("{", "<").replace("}", ">"),
            endpoint.method,
            summary=summary,
            # Agents are shown the description alone.
            description=f"{summary} {' '.join(description.split())}" if description else None,
            responses=_responses(endpoint),
            tags=[endpoint.tag],
            operation_id=endpoint.function.__name__,
            security=[{"oauth2": endpoint.scopes}] if endpoint.scopes else None,
            openapi_extensions={"x-function": folder, "x-any-query": endpoint.any_query},
        )(_annotated(endpoint))
    document: dict[str, Any] = json.loads(
        resolver.get_openapi_json_schema(title="Orders", version="0", security_schemes=SECURITY_SCHEMES)
    )
    return document


def _annotated(endpoint: Endpoint) -> Any:
    """A function with the handler's parameters except the request, each with its type instead of the type's name."""
    hints = get_type_hints(endpoint.function, NAMES, include_extras=True)
    _, *given = inspect.signature(endpoint.function).parameters.values()
    typed = [parameter.replace(annotation=_as_parameter(hints[parameter.name])) for parameter in given]

    def handler(**_: Any) -> dict[str, Any]:
        return {}

    handler.__name__ = endpoint.function.__name__
    handler.__signature__ = inspect.Signature(typed, return_annotation=dict[str, Any])  # type: ignore[attr-defined]
    return handler


def _as_parameter(hint: Any) -> Any:
    return Annotated[hint, Body()] if is_typeddict(hint) else hint


def _responses(endpoint: Endpoint) -> dict[int, Any]:
    documented = {status: _response(status, model) for status, model in endpoint.returns.items()}
    refused_bodies = WITH_BODY if endpoint.method in ("POST", "PATCH") else set()
    for status in sorted({*ALWAYS, *refused_bodies, *endpoint.problems}):
        documented[status] = _response(status, "ProblemDocument", PROBLEM_JSON)
    return documented


def _response(status: int, body: str | None, content_type: str = JSON) -> dict[str, Any]:
    """body: names of models and content types, separated by commas."""
    content: dict[str, Any] = {}
    for part in body.split(", ") if body else []:
        if "/" in part:
            content[part] = {"schema": {}}
        else:
            content[content_type] = {"model": MODELS[part]}
    return {"description": KINDS[status][1] if status in KINDS else DESCRIPTIONS[status], "content": content}
