"""POST /api/customers/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.writes import create, refuse_reserved_address

if TYPE_CHECKING:
    from orders.models import NewCustomer
    from orders.parameters import IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response

app = Api()
CREATE_CUSTOMER = database.load_sql(__file__, "create_customer.sql")


@app.endpoint(
    "POST",
    "/api/customers",
    scopes=["customers/write"],
    returns={201: "Customer"},
    problems=[409],
    tag="Customers",
)
def create_customer(request: Request, customer: NewCustomer, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a customer.

    An e-mail address belongs to one customer, in any letter case.
    """
    refuse_reserved_address(customer["email"])
    created = create(
        request,
        CREATE_CUSTOMER,
        customer,
        idempotency_key,
        email=customer["email"],
        name=customer["name"],
        metadata=json.dumps(customer.get("metadata", {})),
        actor=request.caller,
        request_id=request.request_id,
    )
    assert created is not None, "an insert of one row either makes it or is refused"
    return created


handler = app.handler
