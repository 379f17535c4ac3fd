"""POST /api/orders/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.driver import DatabaseError
from orders.errors import invalid, violated_constraint
from orders.writes import create

if TYPE_CHECKING:
    from orders.models import NewOrder
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
CREATE_ORDER = database.load_sql(__file__, "create_order.sql")


@app.endpoint("POST", "/api/orders", scopes=["orders/write"], returns={201: "Order"}, tag="Orders")
def create_order(request: Request, order: NewOrder, idempotency_key: IdempotencyKey = None) -> Response:
    """Create an order with its items."""
    try:
        created = create(
            request,
            CREATE_ORDER,
            order,
            idempotency_key,
            customer_id=order["customer_id"],
            items=json.dumps(order["items"]),
            actor=request.caller,
            request_id=request.request_id,
        )
    except DatabaseError as error:
        if violated_constraint(error) != "orders_customer_fkey":
            raise
        # The customer was deleted between being found and being referred to.
        created = None
    if created is None:
        raise invalid("customer_id", f"there is no customer {order['customer_id']}")
    return created


handler = app.handler
