"""Composes, in the relay, what send_mail sends: the order and the customer's address as they are now. It has no database."""

import json
import time

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


def compose(messages: dict[str, str]) -> dict[str, str]:
    """The messages that may be sent now, by the ids of their rows in the outbox."""
    rows = database.run(
        COMPOSE,
        repeatable=True,
        ids=[int(identifier) for identifier in messages],
        seconds=SECONDS_TO_SEND,
        lease=LEASE_SECONDS,
        hours=HOURS_TO_SEND,
    )
    until = int(time.time()) + SECONDS_TO_SEND
    composed = {}
    for outbox, mail, attempt, kind, address_hash, document in rows:
        order = json.loads(document)
        message = {
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
        composed[str(outbox)] = json.dumps(message, ensure_ascii=False)
    return composed


def admit() -> None:
    """Those that wait for room get what room there is."""
    database.run(ADMIT, repeatable=True, seconds=SECONDS_TO_SEND, most=MOST_ON_THEIR_WAY)
