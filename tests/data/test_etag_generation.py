"""Validators after a point-in-time restore, where PostgreSQL reuses transaction ids."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from local.postgres import EmbeddedPostgres
from orders.connection import Connection
from orders.limits import MAX_INTEGER
from tests.api.test_events import feed
from tests.harness import Database, Service

CHANGES = 40
NOTED = "UPDATE customers SET name = :name RETURNING customer_etag(xmin)"


def deploy(connection: Connection, functions: Service, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration's part of a deployment to this instance."""
    monkeypatch.setenv("DATABASE_INSTANCE", instance)
    module = functions.module("migrate_database")
    module.migrate(connection, module.MIGRATIONS)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    cluster = EmbeddedPostgres(tmp_path / "live", fsync="off")
    cluster.start()
    yield cluster
    cluster.stop()


def back_up(cluster: EmbeddedPostgres) -> None:
    cluster.stop()
    shutil.copytree(cluster.folder / "data", cluster.folder.with_name("backup"))
    cluster.restart()


def restore(cluster: EmbeddedPostgres) -> None:
    """Back to the state of the backup: the server knows nothing of what came after it."""
    cluster.stop()
    shutil.rmtree(cluster.folder / "data")
    shutil.copytree(cluster.folder.with_name("backup"), cluster.folder / "data")
    cluster.restart()


def versions(connection: Connection, life: str) -> set[str]:
    """The validators of a row that is changed repeatedly, to values that are unique to this life."""
    return {connection.run(NOTED, name=f"{life} {n}")[0][0] for n in range(CHANGES)}


@pytest.mark.slow
def test_no_validator_stands_for_two_versions_after_a_restore(
    functions: Service, cluster: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(cluster.server.connect()) as owner:
        deploy(owner, functions, "db-FIRST", monkeypatch)
        owner.run("INSERT INTO customers (email, name) VALUES ('a@example.com', 'A')")
    back_up(cluster)
    with closing(cluster.server.connect()) as owner:
        lost = versions(owner, "lost")
    restore(cluster)
    with closing(cluster.server.connect()) as owner:
        # The danger is real: without a new generation the validators of both lives are the same.
        assert versions(owner, "restored") & lost
    restore(cluster)
    with closing(cluster.server.connect()) as owner:
        deploy(owner, functions, "db-SECOND", monkeypatch)
        assert not versions(owner, "restored") & lost


def test_a_new_database_takes_nothing_that_clients_have_of_another_one(functions: Service, cluster: EmbeddedPostgres) -> None:
    """As after `make reset`, where nobody names the instance. A cursor from there may be far ahead of the first events."""
    migration = functions.module("migrate_database")
    generations, ids = [], []
    for name in ("orders", "another", "orders"):
        with closing(cluster.server.connect()) as owner:
            if name == "another":
                owner.run("CREATE DATABASE another")
        with closing(replace(cluster.server, database=name).connect()) as owner:
            migration.migrate(owner, migration.MIGRATIONS)
            generations.append(owner.run("SELECT etag_generation()")[0][0])
            ids.append(owner.run("INSERT INTO customers (email, name) VALUES (random()::text, 'A') RETURNING id")[0][0])
    assert generations[0] == generations[2] != generations[1]
    assert ids == [1, 1, 2]


def test_a_deployment_on_the_same_instance_keeps_the_validators(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/orders/{service.order(service.customer()['id'])['id']}/"
    tags = []
    for instance in ("db-FIRST", "db-FIRST", "db-SECOND"):
        deploy(db.connection, service, instance, monkeypatch)
        tags.append(service.http("GET", path).headers["etag"])
    assert tags[0] == tags[1] != tags[2]
    assert service.http("POST", f"{path}pay/", headers={"If-Match": tags[1]}).status == 412
    assert service.http("POST", f"{path}pay/", headers={"If-Match": tags[2]}).status == 200


def test_a_restored_database_gives_no_id_again(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ignore events whose ids they know. Those of events that the restore has lost must not come to others."""
    deploy(db.connection, service, "db-FIRST", monkeypatch)
    service.order(service.customer()["id"])
    counters = "SELECT array_agg(last_value ORDER BY sequencename) FROM pg_sequences WHERE schemaname = 'public'"
    before = db.value(counters)
    deploy(db.connection, service, "db-FIRST", monkeypatch)
    assert db.value(counters) == before
    deploy(db.connection, service, "db-SECOND", monkeypatch)
    assert all(later > max(earlier or 0, 10**15) for earlier, later in zip(before, db.value(counters), strict=True))
    order = service.order(service.customer("late@example.com")["id"])
    assert {event["order_id"] for event in feed(service)} >= {order["id"]}


@pytest.mark.slow
def test_a_second_restore_from_the_same_backup_gives_no_id_of_the_first_one_again(
    functions: Service, cluster: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the first one turns out to be from after the mistake."""
    with closing(cluster.server.connect()) as owner:
        deploy(owner, functions, "db-FIRST", monkeypatch)
    back_up(cluster)
    ids = []
    for instance in ("db-FIRST", "db-SECOND", "db-THIRD"):
        with closing(cluster.server.connect()) as owner:
            deploy(owner, functions, instance, monkeypatch)
            ids.append(owner.run("INSERT INTO customers (email, name) VALUES ('a@example.com', 'A') RETURNING id")[0][0])
        restore(cluster)
    # Each instance has room for what it writes until the next one.
    assert ids[0] + 1_000_000 < ids[1]
    assert ids[1] < ids[2] <= MAX_INTEGER


def test_a_connection_that_keeps_its_plans_returns_the_new_generation(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored instance may receive requests before its migration has run."""
    path = f"/api/orders/{service.order(service.customer()['id'])['id']}/"
    tags = []
    for instance in ("db-FIRST", "db-SECOND"):
        deploy(db.connection, service, instance, monkeypatch)
        # After five executions PostgreSQL keeps the plan.
        tags.append({service.http("GET", path).headers["etag"] for _ in range(7)})
    assert len(tags[0]) == len(tags[1]) == 1
    assert tags[0] != tags[1]


def test_events_from_a_dump_are_shown_in_their_order_and_before_later_ones(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction ids in it are those of another server, which may be far ahead."""
    deploy(db.connection, service, "db-FIRST", monkeypatch)
    order = service.order(service.customer()["id"])["id"]
    service.act(order, "pay")
    db.sql("UPDATE events SET transaction_id = (1000000000000 + id)::text::xid8 WHERE type <> 'customer.created'")
    assert len(feed(service)) == 1
    deploy(db.connection, service, "db-SECOND", monkeypatch)
    service.act(order, "ship")
    shown = [event["type"] for event in feed(service)]
    assert shown == ["customer.created", "order.created", "order.paid", "order.shipped"]
    versions_of_events = "SELECT array_agg(xmin::text ORDER BY id) FROM events"
    before = db.value(versions_of_events)
    deploy(db.connection, service, "db-THIRD", monkeypatch)
    assert db.value(versions_of_events) == before


def test_the_generation_costs_a_statement_nothing(db: Database) -> None:
    """It is a constant in the plan: no function is called and no table read when the statement runs."""
    plan = "\n".join(row[0] for row in db.sql("EXPLAIN (VERBOSE) SELECT id, etag FROM order_documents WHERE id = 1"))
    assert "xmin" in plan
    assert "etag_generation" not in plan
    assert "order_etag" not in plan
