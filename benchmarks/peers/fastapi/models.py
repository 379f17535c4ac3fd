"""The tables, as SQLAlchemy 2 declares them."""

from datetime import datetime
from typing import Any

from rules import ACTIONS
from sqlalchemy import BigInteger, DateTime, FetchedValue, ForeignKey, Identity, Text, func
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, str: Text, datetime: DateTime(timezone=True)}
    # What PostgreSQL sets comes back with the INSERT or UPDATE itself.
    __mapper_args__ = {"eager_defaults": True}


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    email: Mapped[str]
    name: Mapped[str]


class OrderItem(Base):
    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    sku: Mapped[str]
    quantity: Mapped[int]
    unit_price_cents: Mapped[int]


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    reference: Mapped[str | None]
    status: Mapped[str]
    total_cents: Mapped[int]
    item_count: Mapped[int]
    # The declarative base has its own `metadata`.
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), server_onupdate=FetchedValue())

    customer: Mapped[Customer] = relationship(lazy="raise")
    items: Mapped[list[OrderItem]] = relationship(lazy="raise", order_by=OrderItem.id)

    @property
    def allowed_actions(self) -> list[str]:
        return ACTIONS[self.status]


class OrderEvent(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    order_id: Mapped[int]
    customer_id: Mapped[int]
    sequence: Mapped[int]
    type: Mapped[str]
    request_id: Mapped[str]
    changes: Mapped[dict[str, Any]] = mapped_column(JSON)
