"""Events as an HTTP API (payload 2.0) sends them, one function per request of the benchmark."""

import itertools
import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

HOST = "orders.example.com"
ITEMS = [{"sku": f"SKU-{number}", "quantity": number, "unit_price_cents": 1_250 * number} for number in (1, 2, 3)]

request_numbers = itertools.count(1)


class Call(NamedTuple):
    """A request: the function that serves it here (a peer is one application for all requests), and its event."""

    function: str
    event: dict[str, Any]


def list_orders(**query: Any) -> Call:
    return Call("list_orders", _event("GET", "/api/orders", query))


def get_order(order_id: int) -> Call:
    return Call("get_order", _event("GET", "/api/orders/{order_id}", order_id=order_id))


def create_order(customer_id: int) -> Call:
    return Call("create_order", _event("POST", "/api/orders", body={"customer_id": customer_id, "items": ITEMS}))


def cancel_order(order_id: int) -> Call:
    return Call("cancel_order", _event("POST", "/api/orders/{order_id}/cancel", order_id=order_id))


def summarize_orders(**query: Any) -> Call:
    return Call("summarize_orders", _event("GET", "/api/orders/summary", query))


def list_customers(**query: Any) -> Call:
    return Call("list_customers", _event("GET", "/api/customers", query))


def pay_order(order_id: int) -> Call:
    return Call("pay_order", _event("POST", "/api/orders/{order_id}/pay", order_id=order_id))


def start_seed(customers: int, orders_per_customer: int, items_per_order: int) -> Call:
    body = {"customers": customers, "orders_per_customer": orders_per_customer, "items_per_order": items_per_order}
    return Call("start_seed", _event("POST", "/api/dev/seed", body=body))


def _event(method: str, route: str, query: dict[str, Any] | None = None, body: Any = None, **parameters: Any) -> dict[str, Any]:
    path = route.format(**parameters)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": {
            "accept": "application/json",
            "host": HOST,
            "user-agent": "bench",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "bench",
            "domainName": HOST,
            "domainPrefix": "orders",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"},
            "requestId": f"bench-{next(request_numbers)}",
            "routeKey": f"{method} {route}",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000,
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = {name: str(value) for name, value in query.items()}
    if parameters:
        event["pathParameters"] = {name: str(value) for name, value in parameters.items()}
    if body is not None:
        event["headers"]["content-type"] = "application/json"
        event["body"] = json.dumps(body)
    return event
