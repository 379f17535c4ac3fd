"""The events of the contract, one shape per type: what the history and the feed show. Used as models.py is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NotRequired, get_args

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from orders.metadata_models import Metadata
from orders.models import BigId, CancellableStatus, Cents, OrderItem, Reason

# In `changes`, a list holds the value before and the value after.
Total = tuple[Cents, Cents]


class Event(BaseModel):
    id: BigId
    type: str
    at: datetime
    actor: str | None
    request_id: str
    order_id: BigId | None
    customer_id: BigId
    sequence: BigId
    changes: Mapping[str, object]


class OrderEvent(Event):
    order_id: BigId


class OrderCreatedChanges(TypedDict):
    status: tuple[None, Literal["pending"]]
    total_cents: tuple[None, Cents]


class OrderCreated(OrderEvent):
    """An order was created, with its items."""

    type: Literal["order.created"]
    changes: OrderCreatedChanges


class OrderItemAddedChanges(TypedDict):
    item: tuple[None, OrderItem]
    total_cents: Total


class OrderItemAdded(OrderEvent):
    """An item was added to a pending order."""

    type: Literal["order.item_added"]
    changes: OrderItemAddedChanges


class OrderItemUpdatedChanges(TypedDict):
    item: tuple[OrderItem, OrderItem]
    total_cents: Total


class OrderItemUpdated(OrderEvent):
    """The quantity or the price of an item of a pending order was changed."""

    type: Literal["order.item_updated"]
    changes: OrderItemUpdatedChanges


class OrderItemRemovedChanges(TypedDict):
    item: tuple[OrderItem, None]
    total_cents: Total


class OrderItemRemoved(OrderEvent):
    """An item was removed from a pending order."""

    type: Literal["order.item_removed"]
    changes: OrderItemRemovedChanges


class OrderUpdatedChanges(TypedDict):
    metadata: tuple[Metadata, Metadata]


class OrderUpdated(OrderEvent):
    """The metadata of an order was changed."""

    type: Literal["order.updated"]
    changes: OrderUpdatedChanges


class OrderPaidChanges(TypedDict):
    status: tuple[Literal["pending"], Literal["paid"]]


class OrderPaid(OrderEvent):
    """An order was paid."""

    type: Literal["order.paid"]
    changes: OrderPaidChanges


class OrderShippedChanges(TypedDict):
    status: tuple[Literal["paid"], Literal["shipped"]]


class OrderShipped(OrderEvent):
    """An order was shipped."""

    type: Literal["order.shipped"]
    changes: OrderShippedChanges


class OrderDeliveredChanges(TypedDict):
    status: tuple[Literal["shipped"], Literal["delivered"]]


class OrderDelivered(OrderEvent):
    """An order was delivered."""

    type: Literal["order.delivered"]
    changes: OrderDeliveredChanges


class OrderCancelledChanges(TypedDict):
    status: tuple[CancellableStatus, Literal["cancelled"]]
    reason: NotRequired[Reason]


class OrderCancelled(OrderEvent):
    """An order was cancelled, with the reason if one was given."""

    type: Literal["order.cancelled"]
    changes: OrderCancelledChanges


class CustomerEvent(Event):
    order_id: None


class CustomerCreatedChanges(TypedDict):
    email: tuple[None, str]
    name: tuple[None, str]
    metadata: NotRequired[tuple[None, Metadata]]


class CustomerCreated(CustomerEvent):
    """A customer was created."""

    type: Literal["customer.created"]
    changes: CustomerCreatedChanges


class CustomerUpdatedChanges(TypedDict, total=False):
    email: tuple[str, str]
    name: tuple[str, str]
    metadata: tuple[Metadata, Metadata]


class CustomerUpdated(CustomerEvent):
    """A customer's address, name or metadata was changed."""

    type: Literal["customer.updated"]
    changes: CustomerUpdatedChanges


class CustomerErasedChanges(TypedDict):
    pass


class CustomerErased(CustomerEvent):
    """A customer's address, name and metadata were erased, in earlier events as well."""

    type: Literal["customer.erased"]
    changes: CustomerErasedChanges


class CustomerDeletedChanges(TypedDict):
    email: tuple[str, None]
    name: tuple[str, None]
    metadata: NotRequired[tuple[Metadata, None]]


class CustomerDeleted(CustomerEvent):
    """A customer without orders was deleted."""

    type: Literal["customer.deleted"]
    changes: CustomerDeletedChanges


AnyEvent = Annotated[
    OrderCreated
    | OrderItemAdded
    | OrderItemUpdated
    | OrderItemRemoved
    | OrderUpdated
    | OrderPaid
    | OrderShipped
    | OrderDelivered
    | OrderCancelled
    | CustomerCreated
    | CustomerUpdated
    | CustomerErased
    | CustomerDeleted,
    Field(discriminator="type"),
]
# By type.
EVENTS: dict[str, type[Event]] = {get_args(e.model_fields["type"].annotation)[0]: e for e in get_args(get_args(AnyEvent)[0])}


class EventPage(BaseModel):
    results: list[AnyEvent]
    next: str | None
    next_cursor: str | None


class Feed(EventPage):
    """next_cursor: given on the last page as well."""

    next_cursor: str
