"""The shapes of exports. Used as models.py is."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from orders.event_models import EVENTS
from orders.limits import PRINTABLE_OR_EMPTY
from orders.models import BigId, Count, OrderItem, OrderStatus, Reference, strict

ExportKind = Literal["orders", "items", "customers", "summary", "events"]
ExportFormat = Literal["csv", "jsonl"]
ExportStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]


@strict
class ExportFilters(TypedDict, total=False):
    status: OrderStatus
    email: Annotated[str, Field(max_length=254, pattern=PRINTABLE_OR_EMPTY)]
    customer_id: BigId
    reference: Reference
    order_id: BigId
    type: Annotated[str, Field(json_schema_extra={"enum": list(EVENTS)})]


@strict
class NewExport(TypedDict):
    kind: ExportKind
    format: ExportFormat
    filters: NotRequired[ExportFilters]


class Export(BaseModel):
    id: UUID
    kind: ExportKind
    format: ExportFormat
    filters: ExportFilters
    status: ExportStatus
    rows: Count
    bytes: Count
    progress: Annotated[int, Field(ge=0, le=100)]
    consistent: bool
    snapshot_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    error: str | None
    url: str | None


class ExportedItem(OrderItem):
    """A line of an export of items."""

    order_id: BigId
    order_status: OrderStatus
    customer_id: BigId


class ExportPage(BaseModel):
    results: list[Export]
    next: str | None
    next_cursor: str | None
