"""What the Python peers share because the contract says it: legal actions, cursors, and the rows of a seed run."""

import base64
import json
from collections.abc import Iterator

MAX_BIGINT = 2**63 - 1
CANCELLABLE = ("pending", "paid")
ACTIONS = {"pending": ["pay", "cancel"], "paid": ["ship", "cancel"], "shipped": ["deliver"], "delivered": [], "cancelled": []}
STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled")

FIRST_NAMES = [
    "Alice",
    "Bruno",
    "Chloe",
    "Daniel",
    "Elena",
    "Farid",
    "Grace",
    "Hiro",
    "Ines",
    "Jonas",
    "Kavya",
    "Liam",
    "Mei",
    "Noah",
    "Olga",
    "Pablo",
    "Quinn",
    "Rosa",
    "Samir",
    "Tara",
    "Umut",
    "Vera",
    "Wanda",
    "Yusuf",
    "Zoe",
]
LAST_NAMES = [
    "Nguyen",
    "Garcia",
    "Okafor",
    "Schmidt",
    "Rossi",
    "Tanaka",
    "Kowalski",
    "Silva",
    "Haddad",
    "Larsen",
    "Novak",
    "Dubois",
    "Patel",
    "Cohen",
    "Murphy",
    "Ivanova",
    "Mensah",
    "Kim",
    "Svensson",
]
SKUS = ["MUG-11", "TEE-M", "TEE-L", "CAP-01", "BAG-20", "PEN-3", "NOTE-A5", "LAMP-7", "DESK-120", "CHAIR-2", "CABLE-2M"]


def encode_cursor(*keys: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *first: int) -> list[int]:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))) if cursor else list(first)


def customer_row(run: str, ordinal: int) -> tuple[str, str]:
    """(email, name), as the service's seeding makes them."""
    first, last = FIRST_NAMES[(ordinal - 1) * 7 % len(FIRST_NAMES)], LAST_NAMES[(ordinal - 1) * 5 % len(LAST_NAMES)]
    return f"{first.lower()}.{last.lower()}.{ordinal}@{run}.example.com", f"{first} {last}"


def item_rows(customer_id: int, position: int, items: int) -> list[tuple[str, int, int]]:
    """(sku, quantity, unit_price_cents) of a customer's order at that position."""
    seed = customer_id * 13 + position * 101
    return [
        (SKUS[(seed + line) % len(SKUS)], 1 + (seed + line) % 5, 199 + (seed * 31 + line * 577) % 9800)
        for line in range(1, items + 1)
    ]


def order_rows(customer_ids: list[int], orders: int, items: int) -> Iterator[tuple[int, str, int, list[tuple[str, int, int]]]]:
    """(customer_id, status, total_cents, items)."""
    for customer_id in customer_ids:
        for position in range(1, orders + 1):
            lines = item_rows(customer_id, position, items)
            total = sum(quantity * price for _, quantity, price in lines)
            yield customer_id, STATUSES[(customer_id + position) % len(STATUSES)], total, lines


def batches(count: int, size: int) -> Iterator[range]:
    """The ordinals 1 to count, in ranges of at most size."""
    for first in range(1, count + 1, size):
        yield range(first, min(first + size, count + 1))
