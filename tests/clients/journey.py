"""One journey through the API with the client that openapi-python-client has made. Arguments: the service's URL, a token."""

import json
import sys

from orders_client import AuthenticatedClient
from orders_client.api.customers import create_customer
from orders_client.api.orders import create_order, deliver_order, list_orders, pay_order
from orders_client.models import NewCustomer, NewItem, NewOrder, Order, OrderPage, OrderStatus, ProblemDocument

api = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
customer = create_customer.sync(client=api, body=NewCustomer(email="generated@example.com", name="Generated"))
item = NewItem(sku="MUG-11", quantity=2, unit_price_cents=1250)
wanted = NewOrder(customer_id=customer.id, items=[item])
created = create_order.sync_detailed(client=api, body=wanted, idempotency_key="generated-1")
order = created.parsed
assert isinstance(order, Order)
paid = pay_order.sync(order.id, client=api, if_match=created.headers["etag"])
page = list_orders.sync(client=api, status=OrderStatus.PAID, customer_id=customer.id)
again = deliver_order.sync_detailed(order.id, client=api)
assert isinstance(paid, Order)
assert isinstance(page, OrderPage)
assert isinstance(again.parsed, ProblemDocument)
print(
    json.dumps(
        {
            "statuses": [order.status, paid.status],
            "found": [entry.id == order.id for entry in page.results],
            "refused": [again.status_code],
            "title": again.parsed.title,
        }
    )
)
