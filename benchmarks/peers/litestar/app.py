"""The service as a Litestar application on asyncpg and msgspec."""

import os
import ssl
import uuid
from typing import Annotated, Any

import asyncpg
import msgspec
import queries
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import Parameter
from rules import MAX_BIGINT, batches, customer_row, decode_cursor, encode_cursor, order_rows
from schemas import CustomerSummary, Item, NewOrder, NewSeedRun, Order, OrderPage, Status, SummaryPage

Limit = Annotated[int, Parameter(ge=1, le=200)]
CUSTOMERS_PER_BATCH = 500

read_items = msgspec.json.Decoder(list[Item]).decode
read_metadata = msgspec.json.Decoder(dict[str, str]).decode
connection: asyncpg.Connection | None = None


async def database() -> asyncpg.Connection:
    """One connection per execution environment, opened by the first request."""
    global connection
    if connection is None or connection.is_closed():
        connection = await asyncpg.connect(
            host=os.environ["DATABASE_HOST"],
            port=int(os.environ["DATABASE_PORT"]),
            database=os.environ["DATABASE_NAME"],
            user=os.environ["DATABASE_USER"],
            password=os.environ["DATABASE_PASSWORD"],
            ssl=ssl.create_default_context(cafile=os.environ["DATABASE_CA_FILE"])
            if os.environ["DATABASE_TLS"] == "verify"
            else False,
        )
        await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=read_items, format="text")
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=read_metadata,
            format="text",
        )
    return connection


@get("/api/orders")
async def list_orders(
    request: Request,
    status: Status | None = None,
    email: Annotated[str | None, Parameter(max_length=254)] = None,
    customer_id: int | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> OrderPage:
    filters, values = ["o.id < $1"], [*decode_cursor(cursor, MAX_BIGINT), limit + 1]
    for condition, value in (
        ("o.status = ${}", status),
        ("lower(c.email) LIKE ${}", containing(email)),
        ("o.customer_id = ${}", customer_id),
    ):
        if value is not None:
            values.append(value)
            filters.append(condition.format(len(values)))
    db = await database()
    query = queries.list_orders(filters)
    if email is None:
        rows = await db.fetch(query, *values)
    else:
        async with db.transaction():
            # A needle decides which index serves it, so the plan must not forget it.
            await db.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            rows = await db.fetch(query, *values)
    orders = [Order.from_row(row) for row in rows[:limit]]
    return OrderPage(orders, following(request, len(rows) > limit, lambda: [orders[-1].id]))


@get("/api/orders/summary")
async def summarize_orders(request: Request, limit: Limit = 50, cursor: str | None = None) -> SummaryPage:
    [spent, customer_id] = decode_cursor(cursor, MAX_BIGINT, 0)
    db = await database()
    rows = await db.fetch(queries.SUMMARIZE_ORDERS, -spent, customer_id, limit + 1)
    summaries = [CustomerSummary(*row) for row in rows[:limit]]
    last = summaries[-1] if summaries else None
    return SummaryPage(summaries, following(request, len(rows) > limit, lambda: [last.total_spent_cents, last.customer_id]))


@get("/api/orders/{order_id:int}")
async def get_order(order_id: int) -> Order:
    row = await (await database()).fetchrow(queries.GET_ORDER, order_id)
    if row is None:
        raise NotFoundException(f"There is no order {order_id}.")
    return Order.from_row(row)


@post("/api/orders")
async def create_order(data: NewOrder, request: Request) -> Response[Order]:
    row = await (await database()).fetchrow(
        queries.CREATE_ORDER,
        data.customer_id,
        [item.sku for item in data.items],
        [item.quantity for item in data.items],
        [item.unit_price_cents for item in data.items],
        request_id(request),
        data.reference,
        data.metadata,
    )
    if row is None:
        raise HTTPException(f"There is no customer {data.customer_id}.", status_code=422)
    return Response(Order.from_row(row), headers={"location": f"/api/orders/{row['id']}/"})


@post("/api/orders/{order_id:int}/cancel", status_code=200)
async def cancel_order(order_id: int, request: Request) -> Order:
    db = await database()
    if row := await db.fetchrow(queries.CANCEL_ORDER, order_id, request_id(request)):
        return Order.from_row(row)
    row = await db.fetchrow(queries.GET_ORDER, order_id)
    if row is None:
        raise NotFoundException(f"There is no order {order_id}.")
    if row["status"] != "cancelled":
        raise HTTPException(f"The order is {row['status']}.", status_code=409)
    return Order.from_row(row)


@post("/api/dev/seed")
async def seed(data: NewSeedRun) -> dict[str, int]:
    db, run = await database(), str(uuid.uuid4())
    async with db.transaction():
        for ordinals in batches(data.customers, CUSTOMERS_PER_BATCH):
            emails, names = zip(*(customer_row(run, ordinal) for ordinal in ordinals), strict=True)
            customers = await db.fetch(
                "INSERT INTO customers (email, name) SELECT * FROM unnest($1::text[], $2::text[]) RETURNING id", emails, names
            )
            orders = list(order_rows([row["id"] for row in customers], data.orders_per_customer, data.items_per_order))
            ids = await db.fetch(
                "INSERT INTO orders (customer_id, status, total_cents, item_count)"
                " SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::integer[]) RETURNING id",
                *([order[column] for order in orders] for column in range(3)),
                [data.items_per_order] * len(orders),
            )
            await db.copy_records_to_table(
                "order_items",
                columns=["order_id", "sku", "quantity", "unit_price_cents"],
                records=[(row["id"], *item) for row, order in zip(ids, orders, strict=True) for item in order[3]],
            )
    return {"customers": data.customers}


def containing(text: str | None) -> str | None:
    if text is None:
        return None
    return "%" + text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def request_id(request: Request) -> str:
    return request.scope["aws.event"]["requestContext"]["requestId"]


def following(request: Request, more: bool, keys: Any) -> str | None:
    return str(request.url.with_replacements(query=f"cursor={encode_cursor(*keys())}")) if more else None


app = Litestar([list_orders, summarize_orders, get_order, create_order, cancel_order, seed], openapi_config=None)
