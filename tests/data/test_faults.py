"""The database fails in every possible way; the handlers lose nothing, duplicate nothing, and recover by themselves."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from drill.servers import Proxy, wait_until
from local.postgres import EmbeddedPostgres
from orders.driver import DatabaseError
from tests.harness import Answer, Database, LambdaContext, Service, assert_problem

pytestmark = pytest.mark.slow

ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 150}


@pytest.fixture
def proxied(db: Database) -> Iterator[tuple[Service, Proxy]]:
    """A service whose functions reach the database through a proxy."""
    service = Service()
    with Proxy(db.server) as proxy:
        former, os.environ["DATABASE_PORT"] = os.environ["DATABASE_PORT"], str(proxy.port)
        yield service, proxy
        os.environ["DATABASE_PORT"] = former
        service.close()


@pytest.fixture
def own_server(tmp_path: Path, db: Database) -> Iterator[tuple[Service, EmbeddedPostgres]]:
    """A service on a server that may be killed."""
    server = EmbeddedPostgres(tmp_path / "postgres", max_connections="12")
    server.start()
    former = dict(os.environ)
    victim = Database.create(server.server, "victim")
    victim.connection.close()
    os.environ.update(victim.environment)
    service = Service()
    service.invoke("migrate_database", {})
    yield service, server
    service.close()
    server.stop()
    os.environ.update(former)


def assert_unavailable(answer: Answer) -> None:
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


def test_a_server_that_restarts_while_idle_is_noticed_before_anything_is_sent(
    own_server: tuple[Service, EmbeddedPostgres],
) -> None:
    service, server = own_server
    customer = service.customer()
    server.stop()
    assert_unavailable(service.http("GET", "/api/health/"))
    assert_unavailable(service.http("POST", "/api/orders/", {"customer_id": customer["id"], "items": [ITEM]}))
    server.restart()
    assert service.http("GET", "/api/health/").status == 200
    assert service.order(customer["id"])["id"] == 1


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_what_was_answered_survives_a_crash(own_server: tuple[Service, EmbeddedPostgres], how: signal.Signals) -> None:
    service, server = own_server
    customer = service.customer()
    for number in range(5):
        order = service.order(customer["id"])
        server.stop(how)
        server.restart()
        assert service.http("GET", f"/api/orders/{order['id']}/").json == order
        assert len(service.http("GET", "/api/orders/").json["results"]) == number + 1


def test_a_lack_of_free_connections_gives_an_answer_and_recovers(own_server: tuple[Service, EmbeddedPostgres]) -> None:
    service, server = own_server
    taken = [server.server.connect() for _ in range(3)]
    others = []
    with suppress(DatabaseError):
        while True:
            others.append(server.server.connect())
    assert_unavailable(service.http("GET", "/api/health/"))
    for connection in taken + others:
        connection.close()
    wait_until(lambda: service.http("GET", "/api/health/").status == 200, "A free connection")


def test_a_connection_that_ended_while_idle_costs_nothing(service: Service, db: Database) -> None:
    customer = service.customer()
    for _ in range(3):
        db.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'orders_app'")
        assert service.order(customer["id"])["status"] == "pending"
    assert db.value("SELECT count(*) FROM orders") == 3


def test_a_lost_answer_is_repeated_under_a_key(proxied: tuple[Service, Proxy], db: Database) -> None:
    service, proxy = proxied
    body = {"customer_id": service.customer()["id"], "items": [ITEM]}
    proxy.answers = "cut"
    first = service.http("POST", "/api/orders/", body, headers={"Idempotency-Key": "key"})
    assert_unavailable(first)
    proxy.answers = "forward"
    retried = service.http("POST", "/api/orders/", body, headers={"Idempotency-Key": "key"})
    assert retried.status == 201
    assert db.value("SELECT count(*) FROM orders") == 1


def test_without_a_key_a_change_that_may_have_happened_is_not_retried(proxied: tuple[Service, Proxy], db: Database) -> None:
    service, proxy = proxied
    body = {"customer_id": service.customer()["id"], "items": [ITEM]}
    proxy.answers = "cut"
    assert_unavailable(service.http("POST", "/api/orders/", body))
    assert db.value("SELECT count(*) FROM orders") <= 1


def test_a_read_whose_answer_was_lost_is_retried(proxied: tuple[Service, Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    service, proxy = proxied
    order = service.order(service.customer()["id"])
    proxy.answers = "cut"
    pauses = []

    def heal(seconds: float) -> None:
        pauses.append(seconds)
        proxy.answers = "forward"

    monkeypatch.setattr(time, "sleep", heal)
    assert service.http("GET", f"/api/orders/{order['id']}/").json == order
    assert len(pauses) == 1


def test_a_transition_whose_answer_was_lost_happens_once(
    proxied: tuple[Service, Proxy], db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, proxy = proxied
    order = service.order(service.customer()["id"])
    proxy.answers = "cut"
    monkeypatch.setattr(time, "sleep", lambda _: setattr(proxy, "answers", "forward"))
    answer = service.act(order["id"], "cancel")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    assert db.value("SELECT count(order_id) FROM events WHERE type = 'order.cancelled'") == 1


def test_a_silent_database_gives_an_answer_before_the_deadline(proxied: tuple[Service, Proxy]) -> None:
    service, proxy = proxied
    service.http("GET", "/api/health/")
    proxy.answers = "swallow"
    context = LambdaContext(1.0)
    assert_unavailable(service.http("POST", "/api/customers/", {"email": "a@b.de", "name": "A"}, context=context))
    proxy.answers = "forward"
    assert service.http("GET", "/api/health/").status == 200


def test_work_is_not_started_when_too_little_time_is_left(service: Service, db: Database) -> None:
    answer = service.http("POST", "/api/customers/", {"email": "a@b.de", "name": "A"}, context=LambdaContext(0.25))
    assert_unavailable(answer)
    assert db.value("SELECT count(*) FROM customers") == 0


def test_a_read_only_server_makes_the_handler_reconnect(service: Service, db: Database) -> None:
    service.customer()
    name = db.server.database
    db.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    db.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'orders_app'")
    answer = service.http("POST", "/api/customers/", {"email": "b@b.de", "name": "B"})
    db.sql("SET default_transaction_read_only = off")
    db.sql(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert_unavailable(answer)
    assert service.http("POST", "/api/customers/", {"email": "b@b.de", "name": "B"}).status == 201


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_what_the_server_rolled_back_is_retried(service: Service, db: Database, code: str) -> None:
    """A trigger refuses the first two attempts."""
    db.sql("CREATE SEQUENCE tries")
    db.sql(f"""
        CREATE FUNCTION refuse_twice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            IF nextval('tries') <= 2 THEN
                RAISE EXCEPTION 'refused' USING ERRCODE = '{code}';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse_twice BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION refuse_twice();
    """)
    try:
        assert service.http("POST", "/api/customers/", {"email": "a@b.de", "name": "A"}).status == 201
        assert db.value("SELECT last_value FROM tries") == 3
        db.sql("ALTER SEQUENCE tries RESTART WITH 1 INCREMENT BY -1 MINVALUE -1000")
        db.sql("SELECT setval('tries', 1)")
        assert_unavailable(service.http("POST", "/api/customers/", {"email": "b@b.de", "name": "B"}))
    finally:
        db.sql("DROP TRIGGER refuse_twice ON customers; DROP FUNCTION refuse_twice; DROP SEQUENCE tries")


def test_a_handler_killed_before_or_after_its_commit_leaves_one_order_after_the_retry(db: Database, service: Service) -> None:
    """The connection is cut at random moments of a create with a key; after the retry there is always one order."""
    body: dict[str, Any] = {"customer_id": service.customer()["id"], "items": [ITEM] * 50}
    for number in range(10):
        headers = {"Idempotency-Key": f"key-{number}"}
        with Proxy(db.server) as proxy:
            other = Service()
            former, os.environ["DATABASE_PORT"] = os.environ["DATABASE_PORT"], str(proxy.port)
            proxy.answers = "cut" if number % 2 else "swallow"
            other.http("POST", "/api/orders/", body, headers=headers, context=LambdaContext(0.6))
            os.environ["DATABASE_PORT"] = former
            other.close()
        assert service.http("POST", "/api/orders/", body, headers=headers).status == 201
    assert db.sql("SELECT count(*), sum(item_count) FROM orders") == [[10, 500]]
