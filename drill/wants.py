"""What clients want of orders, customers and seed runs."""

import threading
from typing import TYPE_CHECKING, Any

from drill.clients import Client
from drill.parts import want

if TYPE_CHECKING:
    from drill.journal import Operation

HOT_ORDERS = 4
ACTIONS = {"pay": "paid", "ship": "shipped", "deliver": "delivered", "cancel": "cancelled"}
# Few, so that what one client has set another changes and removes.
METADATA_KEYS = ("channel", "note", "gift")


def order_body(client: Client, marker: str, customer: int | None = None) -> dict[str, Any]:
    """The first item carries the marker by which the checker knows the order."""
    items = [client.item(marker), *(client.item(f"{marker}-{n}") for n in range(client.chance.randint(0, 3)))]
    body: dict[str, Any] = {"customer_id": customer or client.chance.choice(client.world.customers), "items": items}
    if client.chance.random() < 0.5:
        body |= {"reference": f"ref-{marker}", "metadata": {"channel": marker}}
    return body


def make_order(client: Client, *, key: bool, customer: int | None = None) -> "Operation":
    marker = client.marker()
    body = order_body(client, marker, customer)
    key_text = f"key-{marker}" if key else None
    return client.perform("create_order", "POST", "/api/orders/", body=body, key=key_text, marker=marker)


@want(4)
def create_order(client: Client) -> None:
    order = make_order(client, key=True)
    if order.answer is not None and order.succeeded:
        hot = client.world.hot
        if len(hot) < HOT_ORDERS:
            hot.append(dict(order.answer.document))
        else:
            hot[client.chance.randrange(len(hot))] = dict(order.answer.document)


@want(3)
def create_order_without_key(client: Client) -> None:
    make_order(client, key=False)


@want(2)
def create_customer(client: Client) -> None:
    marker = client.marker()
    body = {"email": f"{marker}@drill.example.com", "name": marker, "metadata": {"note": marker}}
    created = client.perform("create_customer", "POST", "/api/customers/", body=body, key=f"key-{marker}", marker=marker)
    if created.answer is not None and created.succeeded and client.chance.random() < 0.3:
        number = created.answer.document["id"]
        client.perform("delete_customer", "DELETE", f"/api/customers/{number}/", marker=marker)


@want(2)
def repeat(client: Client) -> None:
    """What was asked before, under the same key, and sometimes with another body."""
    made = client.world.journal.of("create_order", "add_order_item")[-200:]
    known = [operation for operation in made if operation.key and operation.succeeded]
    if not known:
        return
    former = client.chance.choice(known)
    body, expected = dict(former.body or {}), None
    if client.chance.random() < 0.3:
        body, expected = {**body, **({"quantity": 77} if "quantity" in body else {"customer_id": 1_000_000})}, 422
    client.perform(
        former.operation_id,
        "POST",
        former.path,
        body=body,
        key=former.key,
        order_id=former.order_id,
        marker=former.marker,
        expected=expected,
    )


@want(1)
def twice(client: Client) -> None:
    """The same order at the same moment, under the same key."""
    marker = client.marker()
    body = {"customer_id": client.chance.choice(client.world.customers), "items": [client.item(marker)]}
    other = Client(client.world, f"{client.name}b", marker, {})

    def ask(asking: Client) -> None:
        asking.perform("create_order", "POST", "/api/orders/", body=body, key=f"key-{marker}", marker=marker)

    thread = threading.Thread(target=ask, args=(other,))
    thread.start()
    ask(client)
    thread.join()
    other.http.close()


@want(1)
def use_reference(client: Client) -> None:
    """Find an order by its reference, or give another order the same one."""
    made = client.world.journal.of("create_order")[-200:]
    known = [operation for operation in made if operation.succeeded and "reference" in (operation.body or {})]
    if not known:
        return
    former = client.chance.choice(known)
    assert former.answer is not None
    assert former.body is not None
    reference = former.body["reference"]
    if client.chance.random() < 0.5:
        about = former.answer.document["id"]
        client.perform("list_orders", "GET", f"/api/orders/?reference={reference}", about=about)
    else:
        marker = client.marker()
        body = {**order_body(client, marker), "reference": reference}
        client.perform("create_order", "POST", "/api/orders/", body=body, key=f"key-{marker}", marker=marker, expected=409)


@want(6)
def add_item(client: Client) -> None:
    if order := hot(client):
        marker = client.marker()
        change(client, order, "add_order_item", "POST", "items/", body=client.item(marker), key=f"key-{marker}", marker=marker)


@want(4)
def change_item(client: Client) -> None:
    if (order := hot(client)) and order["items"]:
        number = client.chance.choice(order["items"])["id"]
        body = {"quantity": client.chance.randint(1, 9)}
        change(client, order, "update_order_item", "PATCH", f"items/{number}/", body=body, item_id=number)


@want(3)
def remove_item(client: Client) -> None:
    # Not the first one: see order_body().
    if (order := hot(client)) and (items := order["items"][1:]):
        number = client.chance.choice(items)["id"]
        change(client, order, "remove_order_item", "DELETE", f"items/{number}/", item_id=number)


@want(3)
def change_metadata(client: Client) -> None:
    if order := hot(client):
        text = client.marker() if client.chance.random() < 0.7 else None
        body = {"metadata": {client.chance.choice(METADATA_KEYS): text}}
        change(client, order, "update_order", "PATCH", "", body=body)


@want(3)
def advance(client: Client) -> None:
    if order := hot(client):
        allowed = order["allowed_actions"] if client.chance.random() < 0.7 else list(ACTIONS)
        if allowed:
            action = client.chance.choice(allowed)
            body = {"reason": client.marker()} if action == "cancel" and client.chance.random() < 0.7 else None
            change(client, order, f"{action}_order", "POST", f"{action}/", body=body)


@want(4)
def read_order(client: Client) -> None:
    if order := hot(client):
        change(client, order, "get_order", "GET", "")


@want(1)
def read_lists(client: Client) -> None:
    operation_id, path = client.chance.choice(
        [
            ("list_orders", "/api/orders/?limit=20"),
            ("list_customers", "/api/customers/?limit=20"),
            ("summarize_orders", "/api/orders/summary/?limit=20"),
        ]
    )
    client.perform(operation_id, "GET", path)


@want(0)
def seed(client: Client) -> None:
    """Every other run is cancelled."""
    follow_seed(client, cancelled=client.count % 2 == 1)


@want(0)
def seed_once(client: Client) -> None:
    if client.count:
        client.world.over.wait(1)
    else:
        follow_seed(client, cancelled=False)


@want(0)
def rest(client: Client) -> None:
    """In an hour without pauses, seeding would fill the disk."""
    client.world.over.wait(10)


@want(0)
def cancel_seed(client: Client) -> None:
    """At once: the first chunks are being made, and most are still to come."""
    follow_seed(client, cancelled=True, after_chunks=0)


def follow_seed(client: Client, *, cancelled: bool, after_chunks: int = 1) -> None:
    """Starts a run and follows it to its end; or cancels it once it has begun."""
    world, marker = client.world, client.marker()
    run = client.perform("start_seed", "POST", "/api/dev/seed/", body=world.seed, key=f"key-{marker}", marker=marker)
    if run.answer is None or not run.succeeded:
        return
    path = f"/api/dev/seed/{run.answer.document['id']}/"
    while not world.over.is_set():
        document = client.perform("get_seed_run", "GET", path).attempts[-1].document or {}
        if cancelled and document.get("chunks_done", 0) >= after_chunks:
            client.perform("cancel_seed_run", "POST", f"{path}cancel/")
            cancelled = False
        if document.get("finished_at"):
            return
        world.over.wait(0.5)


def hot(client: Client) -> dict[str, Any] | None:
    return client.chance.choice(client.world.hot) if client.world.hot else None


def change(client: Client, order: dict[str, Any], operation_id: str, method: str, path: str, **details: Any) -> None:
    """Sometimes only of the version that this client, or another, has seen."""
    if method != "GET" and "etag" in order and client.chance.random() < 0.3:
        details["if_match"] = order["etag"]
    changed = client.perform(operation_id, method, f"/api/orders/{order['id']}/{path}", order_id=order["id"], **details)
    if changed.answer is not None and changed.succeeded:
        order |= changed.answer.document
        if changed.answer.etag:
            order["etag"] = changed.answer.etag
    if not order["allowed_actions"] and order in client.world.hot and client.chance.random() < 0.3:
        create_order(client)
