"""GET /api/customers/{customer_id}/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.responses import conditional_response

if TYPE_CHECKING:
    from orders.parameters import Id, IfNoneMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
GET_CUSTOMER = "SELECT customer_etag(c.xmin), customer_json(c)::text FROM customers AS c WHERE id = :customer_id"


@app.endpoint(
    "GET",
    "/api/customers/{customer_id}",
    scopes=["customers/read"],
    returns={200: "Customer", 304: None},
    problems=[404],
    tag="Customers",
)
def get_customer(request: Request, customer_id: Id, if_none_match: IfNoneMatch = None) -> Response:
    """Get one customer.

    With `If-None-Match`, the answer is 304 and empty while the customer is still as the client knows it.
    """
    rows = database.run(GET_CUSTOMER, repeatable=True, customer_id=customer_id)
    if not rows:
        raise not_found("customer", customer_id)
    [(etag, body)] = rows
    return conditional_response(body, etag, if_none_match)


handler = app.handler
