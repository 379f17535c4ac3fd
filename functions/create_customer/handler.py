"""POST /api/customers/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, IdempotencyKey
from orders.models import Customer, NewCustomer
from orders.writes import create

app = Api()
CREATE_CUSTOMER = database.load_sql(__file__, "create_customer.sql")


@app.endpoint(
    "POST",
    "/api/customers",
    scopes=["customers/write"],
    returns={201: Customer},
    problems=[409],
    tag="Customers",
)
def create_customer(customer: NewCustomer, idempotency_key: IdempotencyKey = None) -> Response[str]:
    """Create a customer.

    An e-mail address belongs to one customer, in any letter case.
    """
    created = create(app.current_event, CREATE_CUSTOMER, customer, idempotency_key, email=customer.email, name=customer.name)
    assert created is not None, "an insert of one row either makes it or is refused"
    return created


handler = app.handler
