"""Large requests and answers pass the laptop's gateway, runtime client and Lambda limit, or are refused as in the cloud."""

import json
from urllib.parse import urlsplit

from drill.laptop import Laptop
from tests.harness import MAX_ANSWER_BYTES

# If everything beyond ASCII is escaped, every character becomes a surrogate pair: twelve bytes.
WORST_ITEM = {"sku": "😀" * 64, "quantity": 1, "unit_price_cents": 1}


def test_orders_of_the_largest_size_are_created_listed_and_changed(laptop: Laptop) -> None:
    customer = laptop.post("/api/customers/", {"email": "alice@example.com", "name": "😀" * 200}).json()["id"]
    made: list[int] = []
    for _ in range(18):
        answer = laptop.post("/api/orders/", {"customer_id": customer, "items": [WORST_ITEM] * 500})
        assert answer.status_code == 201, answer.text
        made.insert(0, answer.json()["id"])
    for query in ("limit=50", "limit=200", "email=alice"):
        listed: list[int] = []
        path = f"/api/orders/?{query}"
        while path:
            answer = laptop.get(path)
            assert answer.status_code == 200, answer.text
            assert len(json.dumps(answer.text)) <= MAX_ANSWER_BYTES
            page = answer.json()
            listed += [order["id"] for order in page["results"]]
            url = urlsplit(page["next"] or "")
            path = f"{url.path}?{url.query}" if page["next"] else ""
        assert listed == made
    order = f"/api/orders/{made[0]}/"
    assert laptop.post(f"{order}items/", WORST_ITEM).status_code == 409
    assert laptop.post(f"{order}cancel/").json()["status"] == "cancelled"
    assert len(laptop.get(order).json()["items"]) == 500


def test_a_large_body_is_refused_and_a_seed_run_needs_none(laptop: Laptop) -> None:
    for size, status in ((500_000, 422), (1_000_000, 413), (4_000_000, 413)):
        body = "{" + ",".join(f'"{n:05}":0' for n in range(size // 10)) + "}"
        for path in ("/api/customers/", "/api/orders/", "/api/orders/1/items/", "/api/dev/seed/"):
            answer = laptop.http.post(path, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
            assert len(answer.content) < 1000
    assert laptop.http.post("/api/customers/", content="{}").status_code == 415
    assert laptop.http.post("/api/customers/", content="{}", headers={"Content-Type": "APPLICATION/JSON"}).status_code == 422
    started = laptop.http.post("/api/dev/seed/")
    assert started.status_code == 202
    assert laptop.finished(started.headers["location"])["status"] == "succeeded"
