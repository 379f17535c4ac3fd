"""PATCH /api/customers/{customer_id}/"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import Problem
from orders.responses import if_match_tags, json_response
from orders.writes import CustomerState, change_customer, is_so_already, refuse_reserved_address

if TYPE_CHECKING:
    from orders.models import CustomerChange
    from orders.parameters import Id, IfMatch
    from orders.requests import Request
    from orders.responses import Response

app = Api()
UPDATE_CUSTOMER = database.load_sql(__file__, "update_customer.sql")


@app.endpoint(
    "PATCH",
    "/api/customers/{customer_id}",
    scopes=["customers/write"],
    returns={200: "Customer"},
    problems=[404, 409, 412],
    tag="Customers",
)
def update_customer(request: Request, customer_id: Id, change: CustomerChange, if_match: IfMatch = None) -> Response:
    """Change a customer's e-mail address, name or metadata.

    Fields that are left out stay as they are. Of the metadata, the keys given are set, those that are null are removed, and
    the others stay; more than 20 in the end are a conflict, as is an address that another customer has. A customer that was
    erased stays as it is. `If-Match` prevents overwriting a change of somebody else.
    """

    refuse_reserved_address(change.get("email"))

    def attempt() -> Response | None:
        rows = database.run(
            UPDATE_CUSTOMER,
            customer_id=customer_id,
            email=change.get("email"),
            name=change.get("name"),
            metadata=json.dumps(change.get("metadata", {})),
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(customer: CustomerState) -> Response | None:
        if customer.erased:
            raise Problem(409, "The customer has been erased.")
        return json_response(customer.body, etag=customer.etag) if is_so_already(customer.body, change) else None

    return change_customer(customer_id, if_match, attempt, explain)


handler = app.handler
