"""GET /api/orders/"""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from orders import database
from orders.api import Api, Cursor, CustomerFilter, EmailFilter, Limit, contains, page, page_start
from orders.models import MAX_BIGINT, OrderPage, Status

app = Api()

SELECT = "SELECT id, document::text FROM order_documents WHERE id < :before"
FILTERS = {
    "status": " AND status = :status",
    "email": " AND email LIKE :email",
    "customer_id": " AND customer_id = :customer_id",
}
NEWEST_FIRST = " ORDER BY id DESC LIMIT :rows"


@app.endpoint("GET", "/api/orders", scopes=["orders/read"], returns={200: OrderPage}, tag="Orders")
def list_orders(
    status: Annotated[Status | None, Query()] = None,
    email: EmailFilter = None,
    customer_id: CustomerFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[str]:
    """List orders, newest first.

    Filters combine with AND.
    """
    [before] = page_start(app.current_event, cursor, [MAX_BIGINT])
    wanted = {"status": status, "email": contains(email), "customer_id": customer_id}
    filters = {name: value for name, value in wanted.items() if value is not None}
    rows = database.run(
        SELECT + "".join(FILTERS[name] for name in filters) + NEWEST_FIRST,
        repeatable=True,
        # A rare needle wants the index on customers, a common one a walk over orders: planned with its value, each time.
        plan_with_values="email" in filters,
        before=before,
        rows=limit + 1,
        **filters,
    )
    return page(app.current_event, rows, limit)


handler = app.handler
