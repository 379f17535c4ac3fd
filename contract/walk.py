"""The calls whose answers are the examples of openapi.json. The service's data must be empty, and no token required."""

import time
from http import HTTPStatus
from typing import Any

from contract.record import Recorder

STALE = '"8e5b2c6f1a7d4903"'
NOBODY = {"integer": 999_999, "string": "6f1c2f0a-0d35-4c39-9a53-3b1d2f6f7b11"}
RUN_SECONDS = 60
TRIES = 20


def walk(call: Recorder) -> None:
    """Every operation with every parameter, and how the frequent refusals look."""
    alice = walk_customers(call)
    walk_orders(call, alice)
    walk_events(call, alice)
    walk_exports(call, alice)
    walk_webhooks(call, alice)
    walk_seeding(call)
    walk_mails(call, alice)
    for name in ("get_health", "get_index", "get_openapi", "get_docs", "get_console"):
        call(name)
    call("get_console", accept="text/html")
    for name in list(call.examples):
        _, _, operation = call.operations[name]
        if "404" in operation["responses"]:
            places = [parameter for parameter in operation["parameters"] if parameter["in"] == "path"]
            nobody = {place["name"]: NOBODY[place["schema"]["type"]] for place in places}
            call(name, call.examples[name].get("body"), **nobody)


def walk_customers(call: Recorder) -> int:
    new = {"email": "alice@example.com", "name": "Alice Nguyen", "metadata": {"crm": "A-5021"}}
    alice: int = call("create_customer", new, idempotency_key="sign-up-5021")["id"]
    call("create_customer", new, idempotency_key="sign-up-5021")
    call("create_customer", new)
    ben = call("create_customer", {"email": "ben@example.com", "name": "Ben Okafor"})["id"]
    following = call("list_customers", limit=1)["next_cursor"]
    call("list_customers", limit=1, cursor=following)
    call("list_customers", email="alice")
    call("get_customer", customer_id=alice, if_none_match=STALE)
    call("get_customer", customer_id=alice, if_none_match=call.tag)
    change = {"name": "Alice Nguyen-Okafor", "metadata": {"crm": None, "segment": "retail"}}
    call("update_customer", change, customer_id=alice, if_match=call.tag)
    call("update_customer", {"name": "Alice"}, customer_id=alice, if_match=STALE)
    call("update_customer", {"email": "ben@example.com"}, customer_id=alice)
    call("get_customer", customer_id=ben)
    call("delete_customer", customer_id=ben, if_match=STALE)
    call("delete_customer", customer_id=ben, if_match=call.tag)
    gone = call("create_customer", {"email": "dana@example.com", "name": "Dana Weiss"})["id"]
    for _ in range(2):
        call("erase_customer", customer_id=gone)
    call("update_customer", {"name": "Dana"}, customer_id=gone)
    call("erase_customer", customer_id=ben)
    return alice


def walk_orders(call: Recorder, alice: int) -> None:
    mug, shirt = ({"sku": sku, "quantity": 2, "unit_price_cents": price} for sku, price in (("MUG-11", 1250), ("TEE-L", 1900)))
    new = {"customer_id": alice, "items": [mug, shirt], "reference": "PO-2026-0017", "metadata": {"channel": "web"}}
    other = {"customer_id": alice, "items": [mug, shirt]}
    first, _, order = (
        call("create_order", body, idempotency_key=key)["id"]
        for body, key in ((new, "checkout-7301"), (new, "checkout-7301"), (other, "checkout-7302"))
    )
    call("create_order", new)
    call("create_order", {**other, "items": [{**mug, "quantity": 0}]})
    call("create_order", raw=b'{"customer_id": 1,')
    call("create_order", raw=b"x" * (600 * 1024))
    call("create_order", raw=b"customer_id=1", media="application/x-www-form-urlencoded")
    call("delete_customer", customer_id=alice)
    for _ in range(2):
        added = call("add_order_item", {**mug, "sku": "CAP-3"}, order_id=order, if_match=call.tag, idempotency_key="line-3")
    item = added["items"][-1]["id"]
    call("get_order", order_id=order, if_none_match=STALE)
    call("get_order", order_id=order, if_none_match=call.tag)
    call("update_order_item", {"quantity": 5}, order_id=order, item_id=item, if_match=call.tag)
    call("remove_order_item", order_id=order, item_id=item, if_match=call.tag)
    call("update_order", {"metadata": {"gift": "yes"}}, order_id=order, if_match=call.tag)
    call("update_order", {"metadata": {"gift": None}}, order_id=order, if_match=STALE)
    call("update_order", {"metadata": {f"note-{number}": "" for number in range(25)}}, order_id=order)
    for name in ("pay_order", "ship_order", "deliver_order", "cancel_order"):
        call(name, order_id=order, if_match=STALE)
    call("deliver_order", order_id=order)
    for name in ("pay_order", "ship_order", "deliver_order"):
        call("get_order", order_id=order)
        call(name, order_id=order, if_match=call.tag)
    for name in ("pay_order", "ship_order", "cancel_order"):
        call(name, order_id=order)
    call("add_order_item", mug, order_id=order)
    call("update_order_item", {"quantity": 1}, order_id=order, item_id=item)
    call("remove_order_item", order_id=order, item_id=added["items"][0]["id"])
    call("get_order", order_id=first)
    call("cancel_order", {"reason": "Ordered twice"}, order_id=first, if_match=call.tag)
    filters = {"status": "cancelled", "email": "alice", "customer_id": alice, "reference": "PO-2026-0017"}
    following = call("list_orders", limit=1)["next_cursor"]
    call("list_orders", limit=1, cursor=following)
    call("list_orders", limit=50, **filters)
    following = call("list_order_events", order_id=order, limit=2)["next_cursor"]
    call("list_order_events", order_id=order, limit=2, cursor=following)
    call("create_customer", {"email": "chidi@example.com", "name": "Chidi Eze"})
    following = call("summarize_orders", limit=1)["next_cursor"]
    call("summarize_orders", limit=1, cursor=following)


def walk_events(call: Recorder, alice: int) -> None:
    following = call("list_events", limit=2)["next_cursor"]
    call("list_events", limit=2, cursor=following)
    events = call("list_events", limit=200)["results"]
    call.show_events(events)
    order = next(event["order_id"] for event in events if event["type"] == "order.paid")
    call("list_events", type="order.paid", order_id=order, customer_id=alice)


def walk_exports(call: Recorder, alice: int) -> None:
    wanted = {"kind": "orders", "format": "csv", "filters": {"customer_id": alice}}
    for _ in range(2):
        export = call("start_export", wanted, idempotency_key="export-1")["id"]
    deadline = time.monotonic() + RUN_SECONDS
    while call("list_exports")["results"][0]["finished_at"] is None and time.monotonic() < deadline:
        time.sleep(0.2)
    call("get_export", export_id=export)
    call("start_export", {**wanted, "filters": {"status": "lost"}})
    unfinished = call("start_export", {**wanted, "format": "jsonl"})["id"]
    following = call("list_exports", limit=1)["next_cursor"]
    call("list_exports", limit=1, cursor=following)
    for one in (unfinished, export):
        call("delete_export", export_id=one)


def walk_mails(call: Recorder, alice: int) -> None:
    """After everything else, so that they have been sent."""
    order = call("list_orders", customer_id=alice)["results"][-1]["id"]
    following = call("list_order_mails", order_id=order, limit=1)["next_cursor"]
    call("list_order_mails", order_id=order, limit=1, cursor=following)


def walk_webhooks(call: Recorder, alice: int) -> None:
    new = {"url": "https://shop.example.com/hook", "types": ["order.paid", "order.cancelled"], "description": "The shop"}
    for _ in range(2):
        hook = call("create_webhook", new, idempotency_key="webhook-1")["id"]
    call("create_webhook", {**new, "url": "ftp://shop.example.com/hook"})
    call("create_webhook", {"url": "https://shop.example.com/all", "types": ["*"]})
    following = call("list_webhooks", limit=1)["next_cursor"]
    call("list_webhooks", limit=1, cursor=following)
    call("get_webhook", webhook_id=hook, if_none_match=STALE)
    call("get_webhook", webhook_id=hook, if_none_match=call.tag)
    call("rotate_webhook_secret", webhook_id=hook)
    delivery = call("test_webhook", webhook_id=hook)["id"]
    call("test_webhook", webhook_id=hook)
    call("retry_webhook_delivery", webhook_id=hook, delivery_id=delivery)
    following = call("list_webhook_deliveries", webhook_id=hook, limit=1)["next_cursor"]
    call("list_webhook_deliveries", webhook_id=hook, limit=1, cursor=following)
    mug = {"sku": "MUG-11", "quantity": 1, "unit_price_cents": 1250}
    order = call("create_order", {"customer_id": alice, "items": [mug]})["id"]
    call("pay_order", order_id=order)
    following = call("list_order_deliveries", order_id=order, limit=1)["next_cursor"]
    call("list_order_deliveries", order_id=order, limit=1, cursor=following)
    for _ in range(2):
        call("replay_webhook", {"since": "2026-11-26T00:00:00Z"}, webhook_id=hook, idempotency_key="replay-1")
    call("update_webhook", {"types": ["*"]}, webhook_id=hook, if_match=STALE)
    with_tag(call, "update_webhook", {"enabled": False}, webhook_id=hook)
    call("test_webhook", webhook_id=hook)
    call("retry_webhook_delivery", webhook_id=hook, delivery_id=delivery)
    call("replay_webhook", {"since": "2026-11-26T00:00:00Z"}, webhook_id=hook)
    call("delete_webhook", webhook_id=hook, if_match=STALE)
    with_tag(call, "delete_webhook", webhook_id=hook)


def with_tag(call: Recorder, name: str, body: Any = None, /, **parameters: Any) -> None:
    """Calls with the webhook's ETag, again if a delivery changed the webhook in between."""
    for _ in range(TRIES):
        call("get_webhook", **parameters)
        if (call(name, body, if_match=call.tag, **parameters) or {}).get("status") != HTTPStatus.PRECONDITION_FAILED:
            return


def walk_seeding(call: Recorder) -> None:
    numbers = {"customers": 10, "orders_per_customer": 5, "items_per_order": 3}
    for _ in range(2):
        run = call("start_seed", numbers, idempotency_key="seed-1")["id"]
    stopped = call("start_seed", {**numbers, "customers": 20_000})["id"]
    call("cancel_seed_run", run_id=stopped)
    deadline = time.monotonic() + RUN_SECONDS
    while call("get_seed_run", run_id=run)["finished_at"] is None and time.monotonic() < deadline:
        time.sleep(0.2)
    call("cancel_seed_run", run_id=run)
