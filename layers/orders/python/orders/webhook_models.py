"""The shapes of webhooks and their deliveries. Used as models.py is."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from orders.event_models import EVENTS
from orders.limits import PRINTABLE_OR_EMPTY
from orders.models import BigId, Count

strict = with_config(ConfigDict(extra="forbid"))
change = with_config(ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1}))

DeliveryStatus = Literal["pending", "succeeded", "failed", "cancelled"]
WantedType = Annotated[str, Field(json_schema_extra={"enum": ["*", *EVENTS]})]
Url = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://shop.example.com/hook"])]
EventTypes = Annotated[list[WantedType], Field(min_length=1, max_length=20, description="`*` stands for all.")]
Description = Annotated[str, Field(max_length=500, pattern=PRINTABLE_OR_EMPTY)]


@strict
class NewWebhook(TypedDict):
    url: Url
    types: EventTypes
    description: NotRequired[Description]


@change
class WebhookChange(TypedDict, total=False):
    """Any of its fields, and at least one."""

    url: Url
    types: EventTypes
    description: Description
    enabled: bool


@strict
class Replay(TypedDict):
    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Webhook(BaseModel):
    id: BigId
    url: str
    types: list[str]
    description: str
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failures: Count
    failing_since: datetime | None
    created_at: datetime


class WebhookWithSecret(Webhook):
    secret: str | None


class WebhookDelivery(BaseModel):
    id: BigId
    webhook_id: BigId
    event_id: BigId | None
    type: str
    status: DeliveryStatus
    attempts: Count
    status_code: Annotated[int, Field(ge=100, le=999)] | None
    answer: str | None
    error: str | None
    duration_ms: Count | None
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    finished_at: datetime | None


class WebhookPage(BaseModel):
    results: list[Webhook]
    next: str | None
    next_cursor: str | None


class WebhookDeliveryPage(BaseModel):
    results: list[WebhookDelivery]
    next: str | None
    next_cursor: str | None


class Replayed(BaseModel):
    deliveries: Count
    remaining: bool
