"""PATCH /api/customers/{customer_id}/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Id, IfMatch, document, required_validators
from orders.errors import Problem, not_found
from orders.models import Customer, CustomerChange

app = Api()
UPDATE_CUSTOMER = database.load_sql(__file__, "update_customer.sql")
CURRENT_ETAG = "SELECT customer_etag(xmin) FROM customers WHERE id = :customer_id"


@app.endpoint(
    "PATCH",
    "/api/customers/<customer_id>",
    scopes=["customers/write"],
    returns={200: Customer},
    problems=[404, 409, 412],
    tag="Customers",
)
def update_customer(customer_id: Id, change: CustomerChange, if_match: IfMatch = None) -> Response[str]:
    """Change a customer's e-mail address or name."""
    rows = database.run(
        UPDATE_CUSTOMER,
        customer_id=customer_id,
        email=change.email,
        name=change.name,
        if_match=required_validators(if_match),
    )
    if rows:
        [(etag, body)] = rows
        return document(body, etag=etag)
    if current := database.run(CURRENT_ETAG, repeatable=True, customer_id=customer_id):
        raise Problem(412, f"The customer's ETag is {current[0][0]} now.")
    raise not_found("customer", customer_id)


handler = app.handler
