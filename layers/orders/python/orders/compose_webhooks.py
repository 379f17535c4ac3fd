"""Composes, in the relay, what deliver_webhook sends: it has no database, and the secret must not travel in a message."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

from orders import database

COMPOSE = database.load_sql(__file__, "compose_webhooks.sql")
ADMIT = database.load_sql(__file__, "admit_webhooks.sql")
# A message that nobody has reported about until then is composed again. deliver_webhook leaves one alone well before.
LEASE_SECONDS = 180
CANCELLED_AT_ONCE = 1000


def compose(rows: list[int]) -> Iterator[dict[str, Any]]:
    """What may be sent now for these rows of the outbox, each with its row as `outbox`."""
    admitted = database.run(COMPOSE, repeatable=True, ids=rows, lease=LEASE_SECONDS)
    now = int(time.time())
    for outbox, delivery, turn, attempt, url, identifier, document, secrets in admitted:
        body = compact(document)
        yield {
            "outbox": outbox,
            "delivery": delivery,
            "round": turn,
            "attempt": attempt,
            "url": url,
            "id": identifier,
            "timestamp": now,
            "signature": sign(identifier, now, body, secrets),
            "body": body,
        }


def admit() -> None:
    """Those that wait for room at their webhook get what room there is."""
    database.run(ADMIT, repeatable=True, lease=LEASE_SECONDS, most_cancelled=CANCELLED_AT_ONCE)


def compact(document: str) -> str:
    value: Any = json.loads(document)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sign(identifier: str, timestamp: int, body: str, secrets: list[str]) -> str:
    """The header webhook-signature of Standard Webhooks 1.0. secrets: in base64, the present one first."""
    content = f"{identifier}.{timestamp}.{body}".encode()
    digests = (hmac.digest(base64.b64decode(secret), content, "sha256") for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
