"""POST /api/orders/"""

import json

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, IdempotencyKey
from orders.driver import DatabaseError
from orders.errors import invalid, violated_constraint
from orders.models import NewOrder, Order
from orders.writes import create

app = Api()
CREATE_ORDER = database.load_sql(__file__, "create_order.sql")


@app.endpoint("POST", "/api/orders", scopes=["orders/write"], returns={201: Order}, tag="Orders")
def create_order(order: NewOrder, idempotency_key: IdempotencyKey = None) -> Response[str]:
    """Create an order with its items."""
    try:
        created = create(
            app.current_event,
            CREATE_ORDER,
            order,
            idempotency_key,
            customer_id=order.customer_id,
            items=json.dumps([item.model_dump() for item in order.items]),
            actor=app.current_event.caller,
            request_id=app.current_event.request_id,
        )
    except DatabaseError as error:
        if violated_constraint(error) != "orders_customer_fkey":
            raise
        # The customer was deleted between being found and being referred to.
        created = None
    if created is None:
        raise invalid("customer_id", f"there is no customer {order.customer_id}")
    return created


handler = app.handler
