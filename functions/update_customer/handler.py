"""PATCH /api/customers/{customer_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, not_found
from orders.responses import if_match_tags, json_response

if TYPE_CHECKING:
    from orders.models import CustomerChange
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
UPDATE_CUSTOMER = database.load_sql(__file__, "update_customer.sql")
CURRENT_ETAG = "SELECT customer_etag(xmin) FROM customers WHERE id = :customer_id"


@app.endpoint(
    "PATCH",
    "/api/customers/{customer_id}",
    scopes=["customers/write"],
    returns={200: "Customer"},
    problems=[404, 409, 412],
    tag="Customers",
)
def update_customer(request: Request, customer_id: Id, change: CustomerChange, if_match: IfMatch = None) -> Response:
    """Change a customer's e-mail address or name."""
    rows = database.run(
        UPDATE_CUSTOMER,
        customer_id=customer_id,
        email=change.get("email"),
        name=change.get("name"),
        if_match=if_match_tags(if_match),
    )
    if rows:
        [(etag, body)] = rows
        return json_response(body, etag=etag)
    if current := database.run(CURRENT_ETAG, repeatable=True, customer_id=customer_id):
        raise Problem(412, f"The customer's ETag is {current[0][0]} now.")
    raise not_found("customer", customer_id)


handler = app.handler
