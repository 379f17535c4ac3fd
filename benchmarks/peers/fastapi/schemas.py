"""What goes in and out, as pydantic checks and writes it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["pending", "paid", "shipped", "delivered", "cancelled"]


class NewItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: Annotated[str, Field(min_length=1, max_length=64)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    unit_price_cents: Annotated[int, Field(ge=0, le=1_000_000_000)]


class NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customer_id: Annotated[int, Field(ge=1)]
    items: Annotated[list[NewItem], Field(min_length=1, max_length=500)]
    reference: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=500)]], Field(max_length=20)] = {}


class NewSeedRun(BaseModel):
    customers: int
    orders_per_customer: int
    items_per_order: int


class FromRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CustomerOut(FromRow):
    id: int
    email: str
    name: str


class ItemOut(FromRow):
    id: int
    sku: str
    quantity: int
    unit_price_cents: int


class OrderOut(FromRow):
    id: int
    reference: str | None
    customer: CustomerOut
    status: str
    allowed_actions: list[str]
    total_cents: int
    items: list[ItemOut]
    metadata: Annotated[dict[str, str], Field(validation_alias="metadata_")]
    created_at: datetime
    updated_at: datetime


class OrderPage(FromRow):
    results: list[OrderOut]
    next: str | None


class SummaryOut(FromRow):
    customer_id: int
    email: str
    name: str
    order_count: int
    item_count: int
    total_spent_cents: int


class SummaryPage(FromRow):
    results: list[SummaryOut]
    next: str | None
