"""What others are told: the feed, webhooks, mails, and nothing of who was erased."""

from drill.mutations.kit import (
    AS_SHOWN,
    CONTENTION,
    CREATE_ONLY,
    DONE,
    EACH_ARRIVES,
    EACH_MAIL,
    FEED,
    FORGOTTEN,
    LAYER,
    MAIL_TWICE,
    MIGRATIONS,
    MIXED,
    Mutation,
    without_trigger,
)

PEOPLE = (("meet_person", 4), ("order_of_person", 6), ("change_person", 3), ("erase_person", 3))
EVENTS = f"{MIGRATIONS}/current/events.sql"
NEW_EVENTS = "NEW TABLE AS new_events"
SETTLE_WEBHOOK, SEND_MAIL = "functions/settle_webhook/settle_webhook.sql", "functions/send_mail/handler.py"
DELIVER = "functions/deliver_webhook/handler.py"
LEASED_ROW = "UPDATE outbox SET due_at = now() + make_interval(secs => :lease::float8)"


MUTATIONS: dict[str, Mutation] = {
    "feed_horizon": Mutation(
        "an event is shown once nothing that began before it can still commit",
        (FEED,),
        (("functions/list_events/list_events.sql", "AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())", ""),),
        CONTENTION,
        MIXED,
    ),
    "erased_events": Mutation(
        "an erasure rewrites the customer's events",
        (FORGOTTEN,),
        ((EVENTS, "AND order_id IS NULL AND type <> 'customer.erased'", "AND false"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_answers": Mutation(
        "an erasure rewrites stored answers",
        (FORGOTTEN,),
        ((EVENTS, "    WHERE customer_id = forgotten_id\n       --", "    WHERE false\n       --"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_meanwhile": Mutation(
        "an erasure waits for answers that are being stored",
        (FORGOTTEN,),
        (("functions/create_order/create_order.sql", "WHERE c.id = :customer_id FOR KEY SHARE", "WHERE c.id = :customer_id"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_exports": Mutation(
        "an erasure ends exports and removes their files",
        ("no file of an export",),
        ((EVENTS, "    PERFORM forget_exports(forgotten_id);\n", ""),),
        CONTENTION,
        PEOPLE,
    ),
    "delivery_row": Mutation(
        "a delivery is a row of the statement that makes the event",
        (EACH_ARRIVES,),
        (
            without_trigger(
                "events_announced_to_webhooks",
                "INSERT",
                "events",
                NEW_EVENTS,
                "announce_to_webhooks",
                f"{MIGRATIONS}/current/webhooks.sql",
            ),
        ),
        CONTENTION,
        CREATE_ONLY,
        webhooks=1,
    ),
    "delivery_not_seen": Mutation(
        "a delivery ends with what the receiver answered, and not before",
        (EACH_ARRIVES,),
        (
            (DELIVER, "from orders.posting import post", "from orders.posting import Outcome, post"),
            (DELIVER, "outcome = post(", "outcome, _ = Outcome(200, None, None, 1, None), post("),
        ),
        ("receivers_down",),
        CREATE_ONLY,
        webhooks=1,
    ),
    "delivery_tried_once": Mutation(
        "a delivery that has failed keeps its row of the outbox",
        (EACH_ARRIVES, DONE),
        ((SETTLE_WEBHOOK, "AND EXISTS (SELECT FROM settled WHERE status <> 'pending')", "AND EXISTS (SELECT FROM settled)"),),
        ("receivers_down",),
        CREATE_ONLY,
        webhooks=1,
    ),
    "delivery_sent_once": Mutation(
        "a delivery that nobody has reported about is sent again",
        (EACH_ARRIVES, DONE),
        ((f"{LAYER}/compose_webhooks.sql", LEASED_ROW, "UPDATE outbox SET due_at = 'infinity'"),),
        ("queue_refusing",),
        CREATE_ONLY,
        webhooks=1,
    ),
    "signed_otherwise": Mutation(
        "what is signed is what is sent",
        (AS_SHOWN, EACH_ARRIVES),
        ((f"{LAYER}/compose_webhooks.py", "sign(identifier, now, body, secrets)", "sign(identifier, now, document, secrets)"),),
        CONTENTION,
        CREATE_ONLY,
        webhooks=1,
    ),
    "mail_row": Mutation(
        "a mail is a row of the statement that makes the event",
        (EACH_MAIL,),
        (
            without_trigger(
                "events_announced_by_mail",
                "INSERT",
                "events",
                NEW_EVENTS,
                "announce_by_mail",
                f"{MIGRATIONS}/current/mails.sql",
            ),
        ),
        CONTENTION,
        CREATE_ONLY,
        mails=True,
    ),
    "mail_lease": Mutation(
        "a mail that is on its way is leased",
        (MAIL_TWICE,),
        ((f"{LAYER}/compose_mails.sql", LEASED_ROW, "UPDATE outbox SET due_at = now()"),),
        CONTENTION,
        CREATE_ONLY,
        mails=True,
    ),
    "mail_not_taken": Mutation(
        "a mail that SES has not taken is tried again",
        (EACH_MAIL,),
        ((SEND_MAIL, 'and UNVERIFIED not in text else "queued"', 'and UNVERIFIED not in text else "sent"'),),
        ("ses_refusing",),
        CREATE_ONLY,
        mails=True,
    ),
}
