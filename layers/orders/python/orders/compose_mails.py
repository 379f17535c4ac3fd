"""Composes, in the relay, what send_mail sends: the order and the customer's address as they are now. It has no database."""

import json
import time
from collections.abc import Iterator
from typing import Any

from orders import database

COMPOSE = database.load_sql(__file__, "compose_mails.sql")
ADMIT = database.load_sql(__file__, "admit_mails.sql")
# send_mail leaves an older message alone. Of what it has sent it reports within the lease, also where the database is away for
# some minutes: once that is over, the mail is composed and sent again.
SECONDS_TO_SEND, LEASE_SECONDS = 120, 900
MOST_ON_THEIR_WAY = 100
HOURS_TO_SEND = 24
# Those that do not fit into a mail which people read are only counted.
MOST_ITEMS = 100


def compose(rows: list[int]) -> Iterator[dict[str, Any]]:
    """What may be sent now for these rows of the outbox, each with its row as `outbox`."""
    limits = {"seconds": SECONDS_TO_SEND, "lease": LEASE_SECONDS, "hours": HOURS_TO_SEND}
    wanted = database.run(COMPOSE, repeatable=True, ids=rows, **limits)
    until = int(time.time()) + SECONDS_TO_SEND
    for outbox, mail, attempt, kind, address_hash, document in wanted:
        order = json.loads(document)
        yield {
            "outbox": outbox,
            "mail": mail,
            "attempt": attempt,
            "until": until,
            "type": kind,
            "address_hash": address_hash,
            "to": order["customer"]["email"],
            "name": order["customer"]["name"],
            "number": order["reference"] or f"#{order['id']}",
            "total_cents": order["total_cents"],
            "items": order["items"][:MOST_ITEMS],
            "more_items": max(0, len(order["items"]) - MOST_ITEMS),
        }


def admit() -> None:
    """Those that wait for room get what room there is."""
    database.run(ADMIT, repeatable=True, seconds=SECONDS_TO_SEND, most=MOST_ON_THEIR_WAY)
