"""Walks through every endpoint of a running service, as its first client after a deployment.

    python -m contract.smoke https://… [--stage prod]        with TOKEN=… in the environment if tokens are required

Leaves two customers with three orders behind, under addresses that tell their origin, and erased. They are those of SES's
simulator, so that mail to them harms nobody's reputation. Exit status 1 at the first surprise.
"""

import argparse
import gzip
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

REQUEST_SECONDS = 35
# For what a queue does.
PATIENCE_SECONDS = 120
SIMULATOR = "simulator.amazonses.com"


class Surprise(Exception):
    """The service did not answer as the contract says."""


class Client:
    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.steps = 0

    def ask(self, status: int, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's JSON (or its text if it is not JSON). Raises Surprise for any other status."""
        self.steps += 1
        data = None if body is None else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, data, {**self.headers, "Content-Type": "application/json", **names}, method=method)
        try:
            with urlopen(request, timeout=REQUEST_SECONDS) as answer:
                got, text = answer.status, answer.read().decode()
        except HTTPError as error:
            got, text = error.code, error.read().decode()
        if got == HTTPStatus.UNAUTHORIZED and "Authorization" not in self.headers:
            raise Surprise(f"{self.url} requires a token: give one with TOKEN=…")
        if got != status:
            raise Surprise(f"{method} {path} answered {got} instead of {status}: {text[:300]}")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def until(self, path: str, done: Callable[[Any], bool]) -> Any:
        """The answer of a path, once it is as it should be."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done(document := self.ask(200, "GET", path)):
            if time.monotonic() > deadline:
                raise Surprise(f"After {PATIENCE_SECONDS} s, {path} still answers {json.dumps(document)[:500]}")
            time.sleep(0.5)
        return document

    def both_slashes(self, method: str, path: str) -> Any:
        """The answer of a path, which must be the same with and without a trailing slash."""
        with_slash, without = self.ask(200, method, f"{path}/"), self.ask(200, method, path)
        if with_slash != without:
            raise Surprise(f"{method} {path} and {path}/ answer differently")
        return with_slash


def walk(client: Client, *, seeding: bool) -> None:
    client.both_slashes("GET", "/api/health")
    contract = client.ask(200, "GET", "/api/openapi.json")
    if ("/api/dev/seed/" in contract["paths"]) != seeding:
        raise Surprise("The contract does not match the stage: every stage but production has seeding")
    client.both_slashes("GET", "/api/docs")
    if client.ask(200, "GET", "/") != client.both_slashes("GET", "/api"):
        raise Surprise("A program gets other links at / than at /api/")
    customer = walk_customers(client)
    walk_orders(client, customer)
    walk_mail(client)
    client.both_slashes("GET", "/api/orders/summary")
    walk_exports(client, customer)
    walk_webhooks(client)
    if seeding:
        walk_seeding(client)
    else:
        client.ask(404, "POST", "/api/dev/seed/", {})


def walk_customers(client: Client) -> int:
    email = f"success+smoke-{uuid.uuid4().hex[:12]}@{SIMULATOR}"
    customer = client.ask(201, "POST", "/api/customers/", {"email": email, "name": "Smoke Test"}, Idempotency_Key=email)
    client.ask(201, "POST", "/api/customers", {"email": email, "name": "Smoke Test"}, Idempotency_Key=email)
    path = f"/api/customers/{customer['id']}"
    client.both_slashes("GET", path)
    client.ask(200, "PATCH", path, {"name": "Smoke Test II"})
    if len(client.ask(200, "GET", f"/api/customers/?email={quote(email.upper())}")["results"]) != 1:
        raise Surprise("A customer is not found by its full address")
    client.ask(422, "GET", "/api/customers/?emial=x")
    spare = client.ask(201, "POST", "/api/customers/", {"email": f"spare-{email}", "name": "Spare"})
    client.ask(204, "DELETE", f"/api/customers/{spare['id']}/")
    return int(customer["id"])


def walk_orders(client: Client, customer: int) -> None:
    item = {"sku": "SMOKE", "quantity": 2, "unit_price_cents": 150}
    reference = f"SMOKE-{uuid.uuid4().hex[:12]}"
    references = [{"reference": reference}, {}]
    orders = [
        client.ask(201, "POST", "/api/orders/", {"customer_id": customer, "items": [item], **given})["id"]
        for given in references
    ]
    client.ask(409, "POST", "/api/orders/", {"customer_id": customer, "items": [item], "reference": reference})
    if [order["id"] for order in client.ask(200, "GET", f"/api/orders/?reference={reference}")["results"]] != orders[:1]:
        raise Surprise("An order is not found by its reference")
    paths = [f"/api/orders/{order}" for order in orders]
    changed = client.ask(201, "POST", f"{paths[0]}/items/", item)
    client.ask(200, "PATCH", f"{paths[0]}/items/{changed['items'][1]['id']}/", {"quantity": 5})
    if client.ask(200, "DELETE", f"{paths[0]}/items/{changed['items'][0]['id']}/")["total_cents"] != 750:
        raise Surprise("A total is not the sum of its items")
    for action in ("pay", "ship", "deliver", "deliver"):
        client.ask(200, "POST", f"{paths[0]}/{action}/")
    client.ask(409, "POST", f"{paths[0]}/cancel/")
    if client.ask(200, "PATCH", f"{paths[0]}/", {"metadata": {"smoke": "yes"}})["metadata"] != {"smoke": "yes"}:
        raise Surprise("The metadata of a delivered order does not change")
    client.ask(200, "POST", f"{paths[1]}/cancel")
    if client.both_slashes("GET", paths[1])["status"] != "cancelled":
        raise Surprise("A cancelled order is not cancelled")
    client.both_slashes("GET", f"{paths[0]}/events")
    client.both_slashes("GET", f"{paths[0]}/mails")
    client.both_slashes("GET", f"{paths[0]}/webhook-deliveries")
    if len(client.ask(200, "GET", f"/api/orders/?customer_id={customer}&status=cancelled")["results"]) != 1:
        raise Surprise("The list does not find the cancelled order")
    client.ask(409, "DELETE", f"/api/customers/{customer}/")
    if client.both_slashes("POST", f"/api/customers/{customer}/erase")["name"] != "erased":
        raise Surprise("An erased customer has a name")
    client.ask(200, "GET", f"/api/events/?customer_id={customer}")


def walk_exports(client: Client, customer: int) -> None:
    body = {"kind": "orders", "format": "jsonl", "filters": {"customer_id": customer}}
    export = client.ask(202, "POST", "/api/exports/", body)
    path = f"/api/exports/{export['id']}"
    export = client.until(path, lambda now: now["status"] not in ("queued", "running"))
    if (export["status"], export["rows"]) != ("succeeded", 2):
        raise Surprise(f"The export ended as {export}")
    with urlopen(export["url"], timeout=REQUEST_SECONDS) as answer:
        if len(gzip.decompress(answer.read()).splitlines()) != 2:
            raise Surprise("The exported file does not hold the customer's two orders")
    if export["id"] not in [each["id"] for each in client.ask(200, "GET", "/api/exports/")["results"]]:
        raise Surprise("The list does not have the export")
    client.ask(204, "DELETE", f"{path}/")
    client.ask(404, "GET", path)


def walk_webhooks(client: Client) -> None:
    """To a name that nobody will ever have: what is to be seen is that somebody tried."""
    wanted = {"url": "https://smoke.invalid/", "types": ["order.delivered"], "description": "Smoke test"}
    webhook = client.ask(201, "POST", "/api/webhooks/", wanted, Idempotency_Key=uuid.uuid4().hex)
    path = f"/api/webhooks/{webhook['id']}"
    if client.ask(200, "POST", f"{path}/rotate-secret/")["secret"] == webhook["secret"]:
        raise Surprise("A secret is the same after its rotation")
    client.both_slashes("GET", path)
    client.ask(200, "GET", "/api/webhooks/?limit=1")
    client.ask(200, "PATCH", f"{path}/", {"description": "Smoke test II"})
    client.ask(422, "PATCH", f"{path}/", {"types": ["order.lost"]})
    test = client.ask(202, "POST", f"{path}/test/")
    client.until(f"{path}/deliveries/", lambda now: now["results"][0]["attempts"] > 0)
    client.both_slashes("GET", f"{path}/deliveries")
    client.ask(202, "POST", f"{path}/deliveries/{test['id']}/retry/")
    client.ask(202, "POST", f"{path}/replay/", {"since": test["created_at"]})
    client.ask(204, "DELETE", f"{path}/")
    client.ask(404, "GET", f"{path}/")


def walk_mail(client: Client) -> None:
    """Where mail is on: that SES takes it, and that what SES tells later comes back."""
    email = f"bounce+smoke-{uuid.uuid4().hex[:12]}@{SIMULATOR}"
    customer = client.ask(201, "POST", "/api/customers/", {"email": email, "name": "Smoke Test"})["id"]
    item = {"sku": "SMOKE", "quantity": 1, "unit_price_cents": 100}
    order = client.ask(201, "POST", "/api/orders/", {"customer_id": customer, "items": [item]})["id"]
    client.until(f"/api/orders/{order}/mails/", lambda now: {mail["status"] for mail in now["results"]} <= {"bounced"})
    client.ask(200, "POST", f"/api/customers/{customer}/erase/")


def walk_seeding(client: Client) -> None:
    run = client.ask(202, "POST", "/api/dev/seed/", {"customers": 20})
    run = client.until(f"/api/dev/seed/{run['id']}/", lambda now: now["status"] not in ("queued", "running"))
    if (run["status"], run["rows_done"]) != ("succeeded", 420):
        raise Surprise(f"The seed run ended as {run}")
    client.ask(409, "POST", f"/api/dev/seed/{run['id']}/cancel/")
    client.ask(409, "POST", f"/api/dev/seed/{run['id']}/cancel")
    client.ask(404, "POST", f"/api/dev/seed/{uuid.uuid4()}/cancel/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--stage", default="dev", choices=["dev", "prod"])
    arguments = parser.parse_args()
    client = Client(arguments.url, os.environ.get("TOKEN"))
    try:
        walk(client, seeding=arguments.stage == "dev")
    except (Surprise, OSError) as surprise:
        sys.exit(f"After {client.steps} requests: {surprise}")
    print(f"{client.steps} requests answered as the contract says")


if __name__ == "__main__":
    main()
