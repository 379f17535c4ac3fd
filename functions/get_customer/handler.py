"""GET /api/customers/{customer_id}/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IfNoneMatch, conditional_document
from orders.errors import not_found
from orders.models import Customer

app = Api()
GET_CUSTOMER = "SELECT customer_etag(c.xmin), customer_json(c)::text FROM customers AS c WHERE id = :customer_id"


@app.endpoint(
    "GET",
    "/api/customers/<customer_id>",
    scopes=["customers/read"],
    returns={200: Customer, 304: None},
    problems=[404],
    tag="Customers",
)
def get_customer(customer_id: Id, if_none_match: IfNoneMatch = None) -> Response[str]:
    """Get one customer."""
    rows = database.run(GET_CUSTOMER, repeatable=True, customer_id=customer_id)
    if not rows:
        raise not_found("customer", customer_id)
    [(etag, body)] = rows
    return conditional_document(body, etag, if_none_match)


handler = app.handler
