"""DELETE /api/customers/{customer_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem, not_found
from orders.responses import if_match_tags, response

if TYPE_CHECKING:
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
DELETE_CUSTOMER = database.load_sql(__file__, "delete_customer.sql")
WHY_NOT = """
SELECT customer_etag(c.xmin), EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.id)
FROM customers AS c
WHERE c.id = :customer_id
"""


@app.endpoint(
    "DELETE",
    "/api/customers/{customer_id}",
    scopes=["customers/write"],
    returns={204: None},
    problems=[404, 409, 412],
    tag="Customers",
)
def delete_customer(request: Request, customer_id: Id, if_match: IfMatch = None) -> Response:
    """Delete a customer that has no orders."""
    expected = if_match_tags(if_match)
    if database.run(DELETE_CUSTOMER, customer_id=customer_id, if_match=expected):
        return response(204, None, "", {})
    rows = database.run(WHY_NOT, repeatable=True, customer_id=customer_id)
    if not rows:
        raise not_found("customer", customer_id)
    [(etag, has_orders)] = rows
    if expected is not None and etag not in expected:
        raise Problem(412, f"The customer's ETag is {etag} now.")
    if has_orders:
        raise Problem(409, "The customer has orders; nothing was deleted.")
    raise Problem(409, "The customer has just changed; nothing was deleted.")


handler = app.handler
