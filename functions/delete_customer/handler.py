"""DELETE /api/customers/{customer_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem
from orders.responses import if_match_tags, response
from orders.writes import CustomerState, change_customer

if TYPE_CHECKING:
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
DELETE_CUSTOMER = database.load_sql(__file__, "delete_customer.sql")


@app.endpoint(
    "DELETE",
    "/api/customers/{customer_id}",
    scopes=["customers/write"],
    returns={204: None},
    problems=[404, 409, 412],
    tag="Customers",
)
def delete_customer(request: Request, customer_id: Id, if_match: IfMatch = None) -> Response:
    """Delete a customer that has no orders.

    A customer with orders stays, and the answer is 409: orders are never deleted.
    """

    def attempt() -> Response | None:
        rows = database.run(
            DELETE_CUSTOMER,
            customer_id=customer_id,
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return response(204, None, "", {}) if rows else None

    def explain(customer: CustomerState) -> None:
        if customer.has_orders:
            raise Problem(409, "The customer has orders; nothing was deleted.")

    return change_customer(customer_id, if_match, attempt, explain)


handler = app.handler
