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
    """As after days without an answer, when PostgreSQL knows how few webhooks there are."""
    db.sql("UPDATE webhooks SET failing_since = now() - interval '1 day' WHERE id = :id", id=webhook)
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, waiting, attempted_at, duration_ms)"
        f" SELECT :id, -n, 'order.paid', true, now(), 1 FROM generate_series(1, {BACKLOG}) AS n",
        id=webhook,
    )
    db.sql("ANALYZE webhook_deliveries, webhooks")


def test_a_dead_webhook_with_a_long_backlog_costs_the_relay_as_little_as_one_without(service: Service, db: Database) -> None:
    dead, well = add(service, PLAIN), add(service, PLAIN)
    options = {"lease": compose_webhooks.LEASE_SECONDS, "most_cancelled": compose_webhooks.CANCELLED_AT_ONCE}
    # However many webhooks there are, while nothing waits.
    assert Read(db, compose_webhooks.ADMIT, options).pages <= 4
    pile_up(db, dead["id"])
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


def answer(db: Database, webhook: int, over: str, each_ms: int) -> None:
    """Its last 50 attempts, evenly in a time that ends now."""
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, type, status, attempted_at, duration_ms)"
        " SELECT :id, 'webhook.test', 'succeeded', now() - :over::interval * n / 50, :each_ms FROM generate_series(1, 50) AS n",
        id=webhook,
        over=over,
        each_ms=each_ms,
    )


@pytest.mark.parametrize(
    ("over", "each_ms", "healthy", "failing"),
    [
        (None, 0, 50, 5),
        ("1 hour", 20, 50, 5),
        ("1 second", 20, 150, 5),
        ("1 second", 500, 100, 5),
        ("0.1 seconds", 20, 500, 5),
        ("1 second", 1000, 50, 5),
        ("1 second", 8000, 6, 5),
    ],
)
def test_a_webhook_has_room_for_what_its_receiver_answers_in_three_seconds_and_a_slow_one_for_little(
    service: Service, db: Database, over: str | None, each_ms: int, healthy: int, failing: int
) -> None:
    webhook, other = add(service, PLAIN)["id"], add(service, PLAIN)["id"]
    answer(db, other, "1 second", 8000)
    db.sql("BEGIN")
    if over is not None:
        answer(db, webhook, over, each_ms)
    room = "SELECT webhook_room(:id, NULL), webhook_room(:id, now())"
    assert db.sql(room, id=webhook) == [[healthy, failing]]
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, type, leased_until)"
        " SELECT :id, 'webhook.test', now() + n * interval '1 second' FROM generate_series(-10, 7) AS n",
        id=webhook,
    )
    assert db.sql(room, id=webhook) == [[healthy - 7, failing - 7]]
    db.sql("COMMIT")


def test_what_was_admitted_holds_its_place_until_it_is_claimed_and_is_then_sent(service: Service, db: Database) -> None:
    """By a relay that claims fewer rows than it admits."""
    webhook = add(service, PLAIN)["id"]
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, type, waiting)"
        " SELECT :id, 'webhook.test', true FROM generate_series(1, 70)",
        id=webhook,
    )
    lease = compose_webhooks.LEASE_SECONDS
    for claimed in (0, 30, 20, 0):
        db.sql(compose_webhooks.ADMIT, lease=lease, most_cancelled=compose_webhooks.CANCELLED_AT_ONCE)
        ids = [
            row[0] for row in db.sql("SELECT id FROM outbox WHERE due_at <= now() ORDER BY id LIMIT :claimed", claimed=claimed)
        ]
        assert len(db.sql(compose_webhooks.COMPOSE, ids=ids, lease=lease)) == claimed
        assert db.value("SELECT count(*) FROM outbox") == 50
    assert db.value("SELECT count(*) FROM webhook_deliveries WHERE leased_until > now()") == 50
    # One that did not wait has no place among them.
    send_test(service, {"id": webhook})
    [[late]] = db.sql("SELECT id FROM outbox WHERE due_at <= now()")
    assert db.sql(compose_webhooks.COMPOSE, ids=[late], lease=lease) == []
    assert db.value("SELECT count(*) FROM webhook_deliveries WHERE waiting") == 21
