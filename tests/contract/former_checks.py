"""The request checks of the release before openapi.json was used for them, kept for comparison with the current ones.

Pydantic's models and parameter types behind Powertools' resolver, as they were, except for how answers are written.
Frozen: when the contract changes on purpose, add the difference to those in test_checks.py, or remove what no longer exists.
"""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, Self
from urllib.parse import parse_qsl
from uuid import UUID

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_INTEGER = 2**53 - 1
MAX_ITEMS = 500
MAX_QUERY_FIELDS = 50
MAX_BODY_BYTES = 512 * 1024
MAX_JSON_PARTS = 4_000
MAX_CURSOR_LENGTH = 200
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_UNPRINTABLE = _CONTROLS + r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_INVISIBLE = _UNPRINTABLE + r"\s\u200b-\u200d\u2060\ufeff"
PRINTABLE = rf"^[^{_UNPRINTABLE}]*[^{_INVISIBLE}][^{_UNPRINTABLE}]*$"
PRINTABLE_OR_EMPTY = rf"^[^{_CONTROLS}]*$"
EMAIL = r"^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$"
VISIBLE_ASCII = r"^[!-~]+$"
ONE_LINE = rf"^[^{_UNPRINTABLE}]*$"
VISIBLE = rf"^[^{_INVISIBLE}]+$"


class Verdict(NamedTuple):
    """fields: names of what is wrong. arguments: of the handler, if the request was accepted."""

    status: int
    fields: set[str]
    arguments: dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, *fields: str) -> None:
        super().__init__(status, *fields)
        self.verdict = Verdict(status, set(fields), {})


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Change(StrictModel):
    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "must name at least one field")
        return self


Email = Annotated[str, Field(min_length=5, max_length=254, pattern=EMAIL)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
Sku = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]
UnitPrice = Annotated[int, Field(ge=0, le=1_000_000_000)]
Reference = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE)]
Key = Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)]
Value = Annotated[str, Field(max_length=500, pattern=ONE_LINE)]
Metadata = Annotated[dict[Key, Value], Field(max_length=20)]
MetadataChange = Annotated[dict[Key, Value | None], Field(max_length=40)]


class NewCustomer(StrictModel):
    email: Email
    name: Name
    metadata: Metadata = Field(default=None)  # type: ignore[arg-type]


class CustomerChange(Change):
    email: Email = Field(default=None)  # type: ignore[assignment]  # absent means unchanged; null is refused
    name: Name = Field(default=None)  # type: ignore[assignment]
    metadata: MetadataChange = Field(default=None)  # type: ignore[arg-type]


class NewItem(StrictModel):
    sku: Sku
    quantity: Quantity
    unit_price_cents: UnitPrice


class ItemChange(Change):
    quantity: Quantity = Field(default=None)  # type: ignore[assignment]  # absent means unchanged; null is refused
    unit_price_cents: UnitPrice = Field(default=None)  # type: ignore[assignment]


class NewOrder(StrictModel):
    customer_id: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    items: Annotated[list[NewItem], Field(min_length=1, max_length=MAX_ITEMS)]
    reference: Reference = Field(default=None)  # type: ignore[assignment]
    metadata: Metadata = Field(default=None)  # type: ignore[arg-type]


class OrderChange(Change):
    metadata: MetadataChange = Field(default=None)  # type: ignore[arg-type]


class NewSeedRun(StrictModel):
    customers: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    orders_per_customer: Annotated[int, Field(ge=0, le=1_000)] = 5
    items_per_order: Annotated[int, Field(ge=0, le=100)] = 3


class Cancellation(StrictModel):
    """Newer than the rest, by the same rules."""

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=PRINTABLE)] = Field(default=None)  # type: ignore[assignment]


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and (value[0] != "0" or value == "0")):
        raise PydanticCustomError("digits", "must be a whole number in decimal digits, without leading zeros")
    return value


Id = Annotated[int, Field(ge=1, le=MAX_INTEGER), BeforeValidator(_digits), Path()]
RunId = Annotated[UUID, Path()]
StatusFilter = Annotated[Literal["pending", "paid", "shipped", "delivered", "cancelled"] | None, Query(alias="status")]
CustomerFilter = Annotated[
    Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None, BeforeValidator(_digits), Query(alias="customer_id")
]
ReferenceFilter = Annotated[Reference | None, Query(alias="reference")]
EmailFilter = Annotated[str | None, Query(alias="email", max_length=254, pattern=PRINTABLE_OR_EMPTY)]
Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_digits), Query()]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", pattern=VISIBLE_ASCII)]
IfMatch = Annotated[str | None, Header(alias="If-Match")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


class Request(APIGatewayProxyEventV2):
    @property
    def path(self) -> str:
        path = super().path.removesuffix("/")
        return f"{path}/" if path.endswith("\n") else path

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.raw_query_string, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            raise Refused(400) from None

    @cached_property
    def resolved_query_string_parameters(self) -> dict[str, Any]:
        values: dict[str, list[str]] = {}
        for name, value in self.query:
            values.setdefault(name, []).append(value)
        return {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}

    @cached_property
    def decoded_body(self) -> str:
        try:
            return super().decoded_body or ""
        except ValueError:
            raise Refused(400) from None


class Resolver(APIGatewayHttpResolver):
    current_event: Request

    def __init__(self) -> None:
        super().__init__(enable_validation=True, json_body_deserializer=_read_json)
        self.use([_refuse_unknown_input])
        self.exception_handler(Refused)(_raise)
        self.exception_handler(RequestValidationError)(_raise)
        self.not_found(lambda _: Response(404))

    def check(self, event: dict[str, Any]) -> Verdict:
        """The verdict on a request, an HTTP API event."""
        accepted.clear()
        try:
            _refuse_unreadable_body(event)
            headers = {**event["headers"], "content-type": "application/json"}
            status = self.resolve({**event, "headers": headers}, LambdaContext())["statusCode"]
        except Refused as refused:
            return refused.verdict
        except RequestValidationError as error:
            return Verdict(422, {_field(entry) for entry in error.errors()}, {})
        except UnicodeEncodeError:
            # Only the detail gave the reason.
            return Verdict(422, set(), {})
        return Verdict(status, set(), dict(accepted))

    def _to_proxy_event(self, event: dict[str, Any]) -> Request:
        return Request(event, self._json_body_deserializer)


def _raise(error: Exception) -> NoReturn:
    raise error


def _refuse_unreadable_body(event: dict[str, Any]) -> None:
    body = event.get("body")
    if not body:
        return
    if event.get("isBase64Encoded"):
        size = len(body) * 3 // 4 - body[-2:].count("=")
    else:
        size = len(body.encode("utf-8", "surrogatepass"))
    if size > MAX_BODY_BYTES:
        raise Refused(413)
    if event["headers"].get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415)


def _read_json(text: str) -> dict[str, Any]:
    parts = 0

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal parts
        parts += 1 + len(pairs)
        if parts > MAX_JSON_PARTS:
            raise Refused(422, "body")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Refused(400)
        return found

    try:
        body = json.loads(text, object_pairs_hook=read_object, parse_constant=_refuse_constant)
    except (RecursionError, json.JSONDecodeError):
        raise Refused(400) from None
    except ValueError:
        raise Refused(422, "body") from None
    if not isinstance(body, dict):
        raise Refused(422, "body")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise Refused(400)


def _refuse_unknown_input(app: Resolver, next_middleware: NextMiddleware) -> Response[str]:
    dependant = app.context["_route"].dependant
    known = [parameter.alias for parameter in dependant.query_params]
    if unknown := [name for name, _ in app.current_event.query if name not in known]:
        raise Refused(422, *unknown)
    if not dependant.body_params and app.current_event.decoded_body.strip() not in ("", "{}"):
        raise Refused(422, "body")
    return next_middleware(app)


def _field(entry: dict[str, Any]) -> str:
    # What is wrong with the key of a map is reported behind it.
    place, *path = [str(part) for part in entry["loc"] if part != "[key]"]
    return "-".join(word.capitalize() for word in path[0].split("-")) if place == "header" else ".".join(path) or place


accepted: dict[str, Any] = {}
resolver = Resolver()


def _accept(**arguments: Any) -> Response[str]:
    for name, value in arguments.items():
        accepted[name] = (
            value.model_dump(exclude_unset=not isinstance(value, NewSeedRun)) if isinstance(value, BaseModel) else value
        )
    return Response(200, "application/json", "{}")


# What there was, by API Gateway's spelling of paths.
OPERATIONS: set[tuple[str, str]] = set()


def endpoint(method: str, *paths: str) -> Callable[[Callable[..., Response[str]]], None]:
    def declare(function: Callable[..., Response[str]]) -> None:
        for path in paths:
            resolver.route(path, method)(function)
            OPERATIONS.add((method, path.replace("<", "{").replace(">", "}")))

    return declare


@endpoint("GET", "/api/health", "/api/docs", "/api/openapi.json")
def nothing() -> Response[str]:
    return _accept()


@endpoint("POST", "/api/customers")
def create_customer(customer: NewCustomer, idempotency_key: IdempotencyKey = None) -> Response[str]:
    return _accept(customer=customer, idempotency_key=idempotency_key)


@endpoint("GET", "/api/customers")
def list_customers(email: EmailFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Response[str]:
    return _accept(email=email, limit=limit, cursor=cursor)


@endpoint("GET", "/api/customers/<customer_id>")
def get_customer(customer_id: Id, if_none_match: IfNoneMatch = None) -> Response[str]:
    return _accept(customer_id=customer_id, if_none_match=if_none_match)


@endpoint("PATCH", "/api/customers/<customer_id>")
def update_customer(customer_id: Id, change: CustomerChange, if_match: IfMatch = None) -> Response[str]:
    return _accept(customer_id=customer_id, change=change, if_match=if_match)


@endpoint("DELETE", "/api/customers/<customer_id>")
def delete_customer(customer_id: Id, if_match: IfMatch = None) -> Response[str]:
    return _accept(customer_id=customer_id, if_match=if_match)


@endpoint("POST", "/api/orders")
def create_order(order: NewOrder, idempotency_key: IdempotencyKey = None) -> Response[str]:
    return _accept(order=order, idempotency_key=idempotency_key)


@endpoint("GET", "/api/orders/summary")
def summarize_orders(limit: Limit = 50, cursor: Cursor = None) -> Response[str]:
    return _accept(limit=limit, cursor=cursor)


@endpoint("GET", "/api/orders")
def list_orders(
    status: StatusFilter = None,
    email: EmailFilter = None,
    customer_id: CustomerFilter = None,
    reference: ReferenceFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[str]:
    return _accept(status=status, email=email, customer_id=customer_id, reference=reference, limit=limit, cursor=cursor)


@endpoint("GET", "/api/orders/<order_id>")
def get_order(order_id: Id, if_none_match: IfNoneMatch = None) -> Response[str]:
    return _accept(order_id=order_id, if_none_match=if_none_match)


@endpoint("PATCH", "/api/orders/<order_id>")
def update_order(order_id: Id, change: OrderChange, if_match: IfMatch = None) -> Response[str]:
    return _accept(order_id=order_id, change=change, if_match=if_match)


@endpoint("GET", "/api/orders/<order_id>/events")
def list_order_events(order_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response[str]:
    return _accept(order_id=order_id, limit=limit, cursor=cursor)


@endpoint("POST", *[f"/api/orders/<order_id>/{action}" for action in ("pay", "ship", "deliver")])
def transition_order(order_id: Id, if_match: IfMatch = None) -> Response[str]:
    return _accept(order_id=order_id, if_match=if_match)


@endpoint("POST", "/api/orders/<order_id>/cancel")
def cancel_order(
    order_id: Id,
    cancellation: Annotated[Cancellation, Body()] = Cancellation(),  # noqa: B008 - as for a seed run
    if_match: IfMatch = None,
) -> Response[str]:
    return _accept(order_id=order_id, cancellation=cancellation, if_match=if_match)


@endpoint("POST", "/api/orders/<order_id>/items")
def add_order_item(
    order_id: Id, item: NewItem, idempotency_key: IdempotencyKey = None, if_match: IfMatch = None
) -> Response[str]:
    return _accept(order_id=order_id, item=item, idempotency_key=idempotency_key, if_match=if_match)


@endpoint("PATCH", "/api/orders/<order_id>/items/<item_id>")
def update_order_item(order_id: Id, item_id: Id, change: ItemChange, if_match: IfMatch = None) -> Response[str]:
    return _accept(order_id=order_id, item_id=item_id, change=change, if_match=if_match)


@endpoint("DELETE", "/api/orders/<order_id>/items/<item_id>")
def remove_order_item(order_id: Id, item_id: Id, if_match: IfMatch = None) -> Response[str]:
    return _accept(order_id=order_id, item_id=item_id, if_match=if_match)


@endpoint("POST", "/api/dev/seed")
def start_seed(
    run: Annotated[NewSeedRun, Body()] = NewSeedRun(),  # noqa: B008 - as it was
    idempotency_key: IdempotencyKey = None,
) -> Response[str]:
    return _accept(run=run, idempotency_key=idempotency_key)


@endpoint("GET", "/api/dev/seed/<run_id>")
def get_seed_run(run_id: RunId) -> Response[str]:
    return _accept(run_id=run_id)


@endpoint("POST", "/api/dev/seed/<run_id>/cancel")
def cancel_seed_run(run_id: RunId) -> Response[str]:
    return _accept(run_id=run_id)
