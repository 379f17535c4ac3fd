"""What goes in and out, as msgspec reads and writes it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from rules import ACTIONS

Status = Literal["pending", "paid", "shipped", "delivered", "cancelled"]


class NewItem(Struct, forbid_unknown_fields=True):
    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]
    unit_price_cents: Annotated[int, Meta(ge=0, le=1_000_000_000)]


class NewOrder(Struct, forbid_unknown_fields=True):
    customer_id: Annotated[int, Meta(ge=1)]
    items: Annotated[list[NewItem], Meta(min_length=1, max_length=500)]
    reference: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    metadata: Annotated[dict[str, Annotated[str, Meta(max_length=500)]], Meta(max_length=20)] = {}


class NewSeedRun(Struct):
    customers: int
    orders_per_customer: int
    items_per_order: int


class Customer(Struct):
    id: int
    email: str
    name: str


class Item(Struct):
    id: int
    sku: str
    quantity: int
    unit_price_cents: int


class Order(Struct):
    id: int
    reference: str | None
    customer: Customer
    status: str
    allowed_actions: list[str]
    total_cents: int
    items: list[Item]
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Any) -> "Order":
        return cls(
            id=row["id"],
            reference=row["reference"],
            customer=Customer(row["customer_id"], row["email"], row["name"]),
            status=row["status"],
            allowed_actions=ACTIONS[row["status"]],
            total_cents=row["total_cents"],
            items=row["items"] or [],
            metadata=row["metadata"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )


class OrderPage(Struct):
    results: list[Order]
    next: str | None


class CustomerSummary(Struct):
    customer_id: int
    email: str
    name: str
    order_count: int
    item_count: int
    total_spent_cents: int


class SummaryPage(Struct):
    results: list[CustomerSummary]
    next: str | None
