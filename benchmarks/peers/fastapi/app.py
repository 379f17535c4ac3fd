"""The service as a FastAPI application."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated, Any

from database import Reader, Writer
from fastapi import FastAPI, HTTPException, Query, Request, Response
from models import Customer, Order, OrderEvent, OrderItem
from rules import CANCELLABLE, MAX_BIGINT, batches, customer_row, decode_cursor, encode_cursor, order_rows
from schemas import NewOrder, NewSeedRun, OrderOut, OrderPage, Status, SummaryPage
from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.orm import contains_eager, joinedload, selectinload

app = FastAPI()

Limit = Annotated[int, Query(ge=1, le=200)]
WHOLE_ORDER = (joinedload(Order.customer, innerjoin=True), selectinload(Order.items))
CUSTOMERS_PER_BATCH = 500


@app.get("/api/orders", response_model=OrderPage)
async def list_orders(
    request: Request,
    session: Reader,
    status: Status | None = None,
    email: Annotated[str | None, Query(max_length=254)] = None,
    customer_id: int | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Any:
    [before] = decode_cursor(cursor, MAX_BIGINT)
    query = (
        select(Order)
        .join(Order.customer)
        .options(contains_eager(Order.customer), selectinload(Order.items))
        .where(Order.id < before)
        .order_by(Order.id.desc())
        .limit(limit + 1)
    )
    if status is not None:
        query = query.where(Order.status == status)
    if email is not None:
        query = query.where(func.lower(Customer.email).contains(email.lower(), autoescape=True))
    if customer_id is not None:
        query = query.where(Order.customer_id == customer_id)
    async with planned_with_values(session) if email is not None else nullcontext():
        orders = (await session.scalars(query)).all()
    return page(request, orders, limit, lambda order: [order.id])


@app.get("/api/orders/summary", response_model=SummaryPage)
async def summarize_orders(request: Request, session: Reader, limit: Limit = 50, cursor: str | None = None) -> Any:
    counted = (
        select(
            Order.customer_id,
            func.count().label("order_count"),
            func.sum(Order.item_count).label("item_count"),
            func.sum(Order.total_cents).filter(Order.status != "cancelled").label("total_spent_cents"),
        )
        .group_by(Order.customer_id)
        .subquery()
    )
    spent = func.coalesce(counted.c.total_spent_cents, 0)
    query = (
        select(
            Customer.id.label("customer_id"),
            Customer.email,
            Customer.name,
            func.coalesce(counted.c.order_count, 0).label("order_count"),
            func.coalesce(counted.c.item_count, 0).label("item_count"),
            spent.label("total_spent_cents"),
        )
        .outerjoin(counted, counted.c.customer_id == Customer.id)
        .order_by(-spent, Customer.id)
        .limit(limit + 1)
    )
    if cursor:
        [last_spent, last_id] = decode_cursor(cursor)
        query = query.where(tuple_(-spent, Customer.id) > tuple_(-last_spent, last_id))
    rows = (await session.execute(query)).all()
    return page(request, rows, limit, lambda row: [int(row.total_spent_cents), row.customer_id])


@app.get("/api/orders/{order_id}", response_model=OrderOut)
async def get_order(order_id: int, session: Reader) -> Any:
    order = await session.get(Order, order_id, options=WHOLE_ORDER)
    if order is None:
        raise HTTPException(404, f"There is no order {order_id}.")
    return order


@app.post("/api/orders", response_model=OrderOut, status_code=201)
async def create_order(new: NewOrder, request: Request, response: Response, session: Writer) -> Any:
    customer = await session.get(Customer, new.customer_id)
    if customer is None:
        raise HTTPException(422, f"There is no customer {new.customer_id}.")
    order = Order(
        customer=customer,
        status="pending",
        total_cents=sum(item.quantity * item.unit_price_cents for item in new.items),
        item_count=len(new.items),
        reference=new.reference,
        metadata_=new.metadata,
        items=[OrderItem(**item.model_dump()) for item in new.items],
    )
    session.add(order)
    await session.flush()
    record(session, request, order, "order.created", {"status": [None, "pending"], "total_cents": [None, order.total_cents]}, 1)
    response.headers["location"] = f"/api/orders/{order.id}/"
    return order


@app.post("/api/orders/{order_id}/cancel", response_model=OrderOut)
async def cancel_order(order_id: int, request: Request, session: Writer) -> Any:
    order = await session.get(Order, order_id, options=WHOLE_ORDER, with_for_update={"of": Order, "key_share": True})
    if order is None:
        raise HTTPException(404, f"There is no order {order_id}.")
    if order.status == "cancelled":
        return order
    if order.status not in CANCELLABLE:
        raise HTTPException(409, f"The order is {order.status}.")
    last = await session.scalar(select(func.max(OrderEvent.sequence)).where(OrderEvent.order_id == order.id))
    record(session, request, order, "order.cancelled", {"status": [order.status, "cancelled"]}, 1 + (last or 0))
    order.status = "cancelled"
    await session.flush()
    return order


@app.post("/api/dev/seed", status_code=201)
async def seed(run: NewSeedRun, session: Writer) -> dict[str, int]:
    name = str(uuid.uuid4())
    for ordinals in batches(run.customers, CUSTOMERS_PER_BATCH):
        customers = [dict(zip(("email", "name"), customer_row(name, ordinal), strict=True)) for ordinal in ordinals]
        ids = await session.scalars(insert(Customer).returning(Customer.id, sort_by_parameter_order=True), customers)
        orders = list(order_rows(list(ids), run.orders_per_customer, run.items_per_order))
        ids = await session.scalars(
            insert(Order).returning(Order.id, sort_by_parameter_order=True),
            [
                {"customer_id": customer, "status": status, "total_cents": total, "item_count": len(items)}
                for customer, status, total, items in orders
            ],
        )
        # With RETURNING it is sent as many rows per statement, without it as a statement per row.
        await session.execute(
            insert(OrderItem).returning(OrderItem.id),
            [
                {"order_id": order_id, "sku": sku, "quantity": quantity, "unit_price_cents": price}
                for order_id, (*_, items) in zip(ids, orders, strict=True)
                for sku, quantity, price in items
            ],
        )
    return {"customers": run.customers}


@asynccontextmanager
async def planned_with_values(session: Reader) -> AsyncIterator[None]:
    """A needle decides which index serves it, so the plan must not forget it."""
    connection = await session.connection()
    await connection.exec_driver_sql("SET plan_cache_mode = force_custom_plan")
    try:
        yield
    finally:
        await connection.exec_driver_sql("RESET plan_cache_mode")


def record(session: Writer, request: Request, order: Order, what: str, changes: dict[str, Any], sequence: int) -> None:
    request_id = request.scope["aws.event"]["requestContext"]["requestId"]
    session.add(
        OrderEvent(
            order_id=order.id,
            customer_id=order.customer_id,
            sequence=sequence,
            type=what,
            request_id=request_id,
            changes=changes,
        )
    )


def page(request: Request, rows: Sequence[Any], limit: int, keys: Any) -> dict[str, Any]:
    following = None
    if len(rows) > limit:
        following = str(request.url.include_query_params(cursor=encode_cursor(*keys(rows[limit - 1]))))
    return {"results": rows[:limit], "next": following}
