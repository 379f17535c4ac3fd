"""The shapes of the contract, for openapi.json and the type checker. No function imports them at run time:
operations.json checks requests, and PostgreSQL builds the responses.
"""

from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from orders.limits import EMAIL, MAX_INTEGER, MAX_ITEMS, PRINTABLE, VISIBLE
from orders.metadata_models import Metadata, MetadataChange

OrderStatus = Literal["pending", "paid", "shipped", "delivered", "cancelled"]
CancellableStatus = Literal["pending", "paid"]
OrderAction = Literal["pay", "ship", "deliver", "cancel"]
SeedRunStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Cents = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
BigId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Email = Annotated[str, Field(min_length=5, max_length=254, pattern=EMAIL, examples=["alice@example.com"])]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE, examples=["Alice Nguyen"])]
Sku = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE, examples=["MUG-11"])]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=PRINTABLE, examples=["Ordered twice"])]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, examples=[2])]
UnitPrice = Annotated[int, Field(ge=0, le=1_000_000_000, examples=[1250])]
Reference = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE, examples=["PO-2026-0017"])]


# Nothing a client sends is converted, and unknown fields are refused.
strict = with_config(ConfigDict(extra="forbid"))
_change = with_config(ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1}))


@strict
class NewCustomer(TypedDict):
    email: Email
    name: Name
    metadata: NotRequired[Metadata]


@_change
class CustomerChange(TypedDict, total=False):
    """Any of its fields, and at least one."""

    email: Email
    name: Name
    metadata: MetadataChange


@strict
class NewItem(TypedDict):
    sku: Sku
    quantity: Quantity
    unit_price_cents: UnitPrice


@_change
class ItemChange(TypedDict, total=False):
    """Any of its fields, and at least one."""

    quantity: Quantity
    unit_price_cents: UnitPrice


@strict
class NewOrder(TypedDict):
    customer_id: BigId
    items: Annotated[list[NewItem], Field(min_length=1, max_length=MAX_ITEMS)]
    reference: NotRequired[Reference]
    metadata: NotRequired[Metadata]


@_change
class OrderChange(TypedDict, total=False):
    """What can change while the order's items and status stay as they are."""

    metadata: MetadataChange


@strict
class Cancellation(TypedDict, total=False):
    reason: Reason


@strict
class NewSeedRun(TypedDict, total=False):
    customers: Annotated[int, Field(ge=1, le=1_000_000, json_schema_extra={"default": 10})]
    orders_per_customer: Annotated[int, Field(ge=0, le=1_000, json_schema_extra={"default": 5})]
    items_per_order: Annotated[int, Field(ge=0, le=100, json_schema_extra={"default": 3})]


class CustomerReference(BaseModel):
    id: BigId
    email: str
    name: str


class Customer(CustomerReference):
    metadata: dict[str, str]
    created_at: datetime


class OrderItem(BaseModel):
    id: BigId
    sku: str
    quantity: Count
    unit_price_cents: Cents


class Order(BaseModel):
    id: BigId
    reference: str | None
    customer: CustomerReference
    status: OrderStatus
    allowed_actions: list[OrderAction]
    total_cents: Cents
    items: list[OrderItem]
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class CustomerSummary(BaseModel):
    customer_id: BigId
    email: str
    name: str
    order_count: Count
    item_count: Count
    total_spent_cents: Cents


class SeedRun(BaseModel):
    id: UUID
    status: SeedRunStatus
    customers: Count
    orders_per_customer: Count
    items_per_order: Count
    rows_total: Count
    rows_done: Count
    chunks_total: Count
    chunks_done: Count
    created_at: datetime
    finished_at: datetime | None
    error: str | None


class CustomerPage(BaseModel):
    results: list[Customer]
    next: str | None
    next_cursor: str | None


class OrderPage(BaseModel):
    results: list[Order]
    next: str | None
    next_cursor: str | None


class CustomerSummaryPage(BaseModel):
    results: list[CustomerSummary]
    next: str | None
    next_cursor: str | None


class Health(BaseModel):
    status: Literal["ok"]


class FieldError(BaseModel):
    field: str
    message: str


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457). `errors` names the fields that are wrong, if any are."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


class SignIn(BaseModel):
    """Where people get tokens: the authorization-code flow with PKCE, for a client without a secret."""

    issuer: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    end_session_endpoint: str | None
    client_id: str | None
    scopes: list[str]


class Index(BaseModel):
    """links: paths by name. sign_in: null where no tokens are required."""

    name: str
    version: str
    stage: str
    links: dict[str, str]
    sign_in: SignIn | None
