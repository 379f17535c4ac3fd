"""The shapes of the contract. Bodies are validated with them; answers are built by PostgreSQL and documented with them."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_BIGINT = 2**63 - 1
# What every JSON parser reads exactly; a JavaScript number, or a double, can hold no larger integer than this.
MAX_INTEGER = 2**53 - 1
# Keeps the document of an order, and with it every page, within what Lambda can answer.
MAX_ITEMS = 500
# Control characters and line breaks have no place in names and codes; NUL cannot be stored at all. Nor have characters that
# turn around what is read beside them: a name could pretend to be another.
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_UNPRINTABLE = _CONTROLS + r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_INVISIBLE = _UNPRINTABLE + r"\s\u200b-\u200d\u2060\ufeff"
PRINTABLE = rf"^[^{_UNPRINTABLE}]*[^{_INVISIBLE}][^{_UNPRINTABLE}]*$"
PRINTABLE_OR_EMPTY = rf"^[^{_CONTROLS}]*$"
# Visible ASCII with one @, and behind it labels between dots.
EMAIL = r"^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$"

Status = Literal["pending", "paid", "shipped", "delivered", "cancelled"]
Action = Literal["pay", "ship", "deliver", "cancel"]
Cents = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
BigId = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Email = Annotated[str, Field(min_length=5, max_length=254, pattern=EMAIL, examples=["alice@example.com"])]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE, examples=["Alice Nguyen"])]
Sku = Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE, examples=["MUG-11"])]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, examples=[2])]
UnitPrice = Annotated[int, Field(ge=0, le=1_000_000_000, examples=[1250])]


class Body(BaseModel):
    """What a client sends: nothing is converted, and a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Change(Body):
    """Any of its fields, and at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "must name at least one field")
        return self


class NewCustomer(Body):
    email: Email
    name: Name


class CustomerChange(Change):
    email: Email = Field(default=None)  # type: ignore[assignment]  # absent means unchanged; null is refused
    name: Name = Field(default=None)  # type: ignore[assignment]


class NewItem(Body):
    sku: Sku
    quantity: Quantity
    unit_price_cents: UnitPrice


class ItemChange(Change):
    quantity: Quantity = Field(default=None)  # type: ignore[assignment]  # absent means unchanged; null is refused
    unit_price_cents: UnitPrice = Field(default=None)  # type: ignore[assignment]


class NewOrder(Body):
    customer_id: BigId
    items: Annotated[list[NewItem], Field(min_length=1, max_length=MAX_ITEMS)]


class NewSeedRun(Body):
    customers: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    orders_per_customer: Annotated[int, Field(ge=0, le=1_000)] = 5
    items_per_order: Annotated[int, Field(ge=0, le=100)] = 3


class CustomerReference(BaseModel):
    id: BigId
    email: str
    name: str


class Customer(CustomerReference):
    created_at: datetime


class OrderItem(BaseModel):
    id: BigId
    sku: str
    quantity: int
    unit_price_cents: Cents


class Order(BaseModel):
    id: BigId
    customer: CustomerReference
    status: Status
    allowed_actions: list[Action]
    total_cents: Cents
    items: list[OrderItem]
    created_at: datetime
    updated_at: datetime


class OrderEvent(BaseModel):
    id: BigId
    type: Literal["created", "item_added", "item_updated", "item_removed", "paid", "shipped", "delivered", "cancelled"]
    actor: str | None
    request_id: str
    at: datetime
    changes: dict[str, object]


class CustomerSummary(BaseModel):
    customer_id: BigId
    email: str
    name: str
    order_count: Count
    item_count: Count
    total_spent_cents: Cents


class SeedRun(BaseModel):
    id: UUID
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    customers: int
    orders_per_customer: int
    items_per_order: int
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


class OrderEventPage(BaseModel):
    results: list[OrderEvent]
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
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
