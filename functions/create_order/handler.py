"""POST /api/orders/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.driver import DatabaseError
from orders.errors import Problem, invalid, violated_constraint
from orders.writes import create

if TYPE_CHECKING:
    from orders.models import NewOrder
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
CREATE_ORDER = database.load_sql(__file__, "create_order.sql")
HAVING_REFERENCE = "SELECT id FROM orders WHERE reference = :reference"


@app.endpoint("POST", "/api/orders", scopes=["orders/write"], returns={201: "Order"}, problems=[409], tag="Orders")
def create_order(request: Request, order: NewOrder, idempotency_key: IdempotencyKey = None) -> Response:
    """Create an order with its items.

    The order begins as `pending`, and prices are in cents. A reference belongs to one order; if it is taken, the problem names
    the order that has it. With an `Idempotency-Key`, a repeated request returns the order that the first one created.
    """
    reference = order.get("reference")
    try:
        created = create(
            request,
            CREATE_ORDER,
            order,
            idempotency_key,
            customer_id=order["customer_id"],
            items=json.dumps(order["items"]),
            reference=reference,
            metadata=json.dumps(order.get("metadata", {})),
            actor=request.caller,
            request_id=request.request_id,
        )
    except DatabaseError as error:
        if violated_constraint(error) == "orders_reference_key":
            [[taken_by]] = database.run(HAVING_REFERENCE, repeatable=True, reference=reference)
            raise Problem(409, f"Order {taken_by} already has the reference {reference}.") from None
        if violated_constraint(error) != "orders_customer_fkey":
            raise
        # The customer was deleted between being found and being referred to.
        created = None
    if created is None:
        raise invalid("customer_id", f"there is no customer {order['customer_id']}")
    return created


handler = app.handler
