"""POST /api/customers/{customer_id}/erase/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem
from orders.responses import json_response, response
from orders.writes import CustomerState, change_customer

if TYPE_CHECKING:
    from orders.connection import Row
    from orders.parameters import Id
    from orders.requests import Request
    from orders.responses import Response

app = Api()
ERASE_CUSTOMER = database.load_sql(__file__, "erase_customer.sql")
ERASE_DELETED_CUSTOMER = database.load_sql(__file__, "erase_deleted_customer.sql")


@app.endpoint(
    "POST",
    "/api/customers/{customer_id}/erase",
    scopes=["customers/erase"],
    returns={200: "Customer", 204: None},
    problems=[404],
    tag="Customers",
)
def erase_customer(request: Request, customer_id: Id) -> Response:
    """Erase a customer's address, name and metadata, wherever the service keeps them.

    Orders and totals stay. It cannot be undone, and the customer can no longer be changed.
    Repeating it changes nothing and answers 200. Of a customer that was deleted, the events are erased: 204.
    """

    def run(sql: str) -> list[Row]:
        # The second time it finds that it has already happened.
        return database.run(sql, repeatable=True, customer_id=customer_id, actor=request.caller, request_id=request.request_id)

    def attempt() -> Response | None:
        rows = run(ERASE_CUSTOMER)
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(customer: CustomerState) -> Response | None:
        return json_response(customer.body, etag=customer.etag) if customer.erased else None

    try:
        return change_customer(customer_id, None, attempt, explain)
    except Problem as problem:
        if problem.status == 404 and run(ERASE_DELETED_CUSTOMER):
            return response(204, None, "", {})
        raise


handler = app.handler
