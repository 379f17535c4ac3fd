"""What webhooks cost those who do not use them, and what a dead one with a long backlog costs the others."""

from collections.abc import Iterator

import pytest

from orders import compose_webhooks
from tests.data.test_plans import Read
from tests.data.test_webhooks import add, drain, send_test
from tests.harness import Database, Service

BACKLOG = 100_000
# One like those that requests make.
EVENT = """
INSERT INTO events (customer_id, sequence, type, request_id, changes) VALUES (1, :number, 'customer.created', 'r', '{}')
"""
PLAIN = "https://shop.example.com/hook"


@pytest.fixture(autouse=True)
def _no_messages(service: Service) -> Iterator[None]:
    drain()
    yield
    drain()


def reads_of_webhooks(db: Database) -> int:
    """Pages of all that belongs to webhooks, that this session's transaction has asked for."""
    return int(db.value("SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relname LIKE 'webhook%'"))


@pytest.mark.parametrize(("webhooks", "pages"), [(0, 0), (3, 1)])
def test_where_nobody_is_told_an_event_costs_a_look_at_a_small_table(
    service: Service, db: Database, webhooks: int, pages: int
) -> None:
    """At none, or at those that were disabled long ago."""
    for _ in range(webhooks):
        hook = add(service, PLAIN)
        service.http("PATCH", f"/api/webhooks/{hook['id']}/", {"enabled": False})
    db.sql("UPDATE webhooks SET disabled_at = disabled_at - interval '31 days'")
    db.sql("VACUUM webhooks")
    db.sql(EVENT, number=1)
    db.sql("BEGIN")
    before = reads_of_webhooks(db)
    db.sql(EVENT, number=2)
    read = reads_of_webhooks(db) - before
    db.sql("COMMIT")
    assert read == pages
    assert db.value("SELECT count(*) FROM outbox") == 0


def pile_up(db: Database, webhook: int) -> None:
    """As after days without an answer."""
    db.sql("UPDATE webhooks SET failing_since = now() - interval '1 day' WHERE id = :id", id=webhook)
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, waiting)"
        f" SELECT :id, -n, 'order.paid', true FROM generate_series(1, {BACKLOG}) AS n",
        id=webhook,
    )
    db.sql("ANALYZE webhook_deliveries")


def test_a_dead_webhook_with_a_long_backlog_costs_the_relay_as_little_as_one_without(service: Service, db: Database) -> None:
    dead, well = add(service, PLAIN), add(service, PLAIN)
    pile_up(db, dead["id"])
    options = {"most_cancelled": compose_webhooks.CANCELLED_AT_ONCE, **compose_webhooks.MOST}
    read = Read(db, compose_webhooks.ADMIT, options)
    # What it admits is five rows, each in a table and its indexes.
    assert read.pages < 300
    assert db.value("SELECT count(*) FROM outbox") == 5
    # The rest is not in the outbox, and a new event neither.
    db.sql("DELETE FROM outbox")
    service.customer()
    assert db.sql("SELECT DISTINCT waiting FROM webhook_deliveries WHERE event_id > 0 AND webhook_id = :id", id=dead["id"]) == [
        [True]
    ]
    assert db.value("SELECT count(*) FROM outbox") == 1
    delivery = send_test(service, well)
    service.relay()
    on_their_way = "SELECT webhook_id, count(*) FROM webhook_deliveries WHERE leased_until > now() GROUP BY 1 ORDER BY 1"
    found = dict(db.sql(on_their_way))
    assert found[well["id"]] == 2
    assert found.get(dead["id"], 0) <= 5
    assert db.value("SELECT leased_until > now() FROM webhook_deliveries WHERE id = :id", id=delivery["id"]) is True


def test_a_disabled_webhooks_backlog_is_cancelled_by_the_thousand(service: Service, db: Database) -> None:
    dead = add(service, PLAIN)
    pile_up(db, dead["id"])
    service.http("PATCH", f"/api/webhooks/{dead['id']}/", {"enabled": False})
    service.relay()
    [[passes, rest]] = db.sql(
        "SELECT count(*) FILTER (WHERE status = 'cancelled') / 1000, count(*) FILTER (WHERE waiting)"
        " FROM webhook_deliveries WHERE webhook_id = :id",
        id=dead["id"],
    )
    assert passes >= 1
    assert passes * 1000 + rest == BACKLOG
    assert db.value("SELECT count(*) FROM outbox") == 0
