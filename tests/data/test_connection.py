"""The one-batch connection: round trips on the wire, and what happens when the server misbehaves."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.auth
import pytest

from contract.functions import ROOT
from drill.servers import Proxy
from orders.connection import Connection, ConnectionLost
from orders.driver import DatabaseError
from orders.errors import sqlstate
from orders.iam import iam_token
from tests.harness import Database

AMAZON_ROOTS = ROOT / "layers" / "orders" / "python" / "orders" / "amazon-roots.pem"
STARFIELD = "Starfield Services Root Certificate Authority"
BEGINNING_OF_2037 = ssl.cert_time_to_seconds("Jan  1 00:00:00 2037 GMT")


@pytest.fixture
def proxy(migrated: Database) -> Iterator[Proxy]:
    with Proxy(migrated.server) as proxy:
        yield proxy


@pytest.fixture
def connection(migrated: Database, proxy: Proxy) -> Iterator[Connection]:
    connection = replace(migrated.server, port=proxy.port).connect()
    yield connection
    connection.abandon()


def test_every_call_is_one_round_trip(proxy: Proxy, connection: Connection) -> None:
    before = proxy.round_trips
    sql = "SELECT :number::integer + 1, :text"
    for number in range(5):
        rows = connection.run(sql, number=number, text="x")
        assert rows == [[number + 1, "x"]]
    assert proxy.round_trips == before + 5


def test_a_call_within_a_transaction_is_one_round_trip_too(proxy: Proxy, connection: Connection) -> None:
    before = proxy.round_trips
    connection.run("BEGIN")
    connection.run("SELECT :number::integer", number=1)
    connection.run("COMMIT")
    assert proxy.round_trips == before + 3


def test_a_statement_that_the_server_has_forgotten_takes_one_more_round_trip(proxy: Proxy, connection: Connection) -> None:
    query = "SELECT :number::integer"
    connection.run(query, number=1)
    connection.run("DEALLOCATE ALL")
    before = proxy.round_trips
    assert connection.run(query, number=2) == [[2]]
    assert proxy.round_trips == before + 2


def test_a_changed_table_returns_the_new_columns(db: Database, connection: Connection) -> None:
    db.sql("CREATE TABLE IF NOT EXISTS changing (a integer)")
    db.sql("TRUNCATE changing")
    db.sql("INSERT INTO changing VALUES (1)")
    query = "SELECT * FROM changing WHERE a = :a::integer"
    assert connection.run(query, a=1) == [[1]]
    db.sql("ALTER TABLE changing ADD COLUMN b text DEFAULT 'new'")
    assert connection.run(query, a=1) == [[1, "new"]]
    db.sql("DROP TABLE changing")


def test_a_refused_statement_leaves_the_connection_usable(connection: Connection) -> None:
    with pytest.raises(DatabaseError) as refusal:
        connection.run("SELECT :number::integer / 0", number=1)
    assert sqlstate(refusal.value) == "22012"
    with pytest.raises(DatabaseError):
        connection.run("SELECT nonsense FROM nowhere WHERE a = :a", a=1)
    assert connection.run("SELECT :number::integer", number=1) == [[1]]


def test_a_text_that_cannot_be_encoded_is_refused_before_anything_is_sent(proxy: Proxy, connection: Connection) -> None:
    before = proxy.round_trips
    with pytest.raises(UnicodeEncodeError):
        connection.run("SELECT :text::text", text="\ud800")
    assert proxy.round_trips == before
    assert connection.run("SELECT :text::text", text="ok") == [["ok"]]


@pytest.mark.parametrize("value", ["null", "NULL", "it's", 'say "hi"', "back\\slash", "{}", "ünï", "", "😀"])
def test_values_arrive_unchanged(connection: Connection, value: str) -> None:
    assert connection.run("SELECT :value::text", value=value) == [[value]]
    assert connection.run("SELECT :values::text[]", values=[f'"{value}"'.replace("\\", "")])[0][0] == [
        f'"{value}"'.replace("\\", "")
    ]


def test_a_silent_server_is_a_lost_connection(proxy: Proxy, connection: Connection) -> None:
    connection.set_timeout(0.2)
    proxy.answers = "swallow"
    with pytest.raises(ConnectionLost):
        connection.run("SELECT :number::integer", number=1)
    assert connection.lost
    assert connection.stale()


def test_a_server_that_ends_the_session_is_recognized_by_its_last_message(db: Database, connection: Connection) -> None:
    [[pid]] = connection.run("SELECT pg_backend_pid()")
    with pytest.raises(DatabaseError) as farewell:
        connection.run("SELECT pg_terminate_backend(:pid::integer), pg_sleep(5)", pid=pid)
    assert sqlstate(farewell.value) == "57P01"
    assert connection.lost


def test_an_idle_connection_that_ended_is_stale(db: Database, connection: Connection) -> None:
    assert not connection.stale()
    [[pid]] = connection.run("SELECT pg_backend_pid()")
    db.sql("SELECT pg_terminate_backend(:pid::integer, 5000)", pid=pid)
    assert connection.stale()


@pytest.mark.parametrize("session_token", [None, "session/+token=="])
def test_the_iam_token_is_the_same_as_boto3s(monkeypatch: pytest.MonkeyPatch, session_token: str | None) -> None:
    now = datetime(2026, 11, 24, 10, 30, 5, tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    if session_token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session_token)
    host, region = "orders.proxy-abc.eu-central-1.rds.amazonaws.com", "eu-central-1"
    session = boto3.session.Session(region_name=region)
    theirs = session.client("rds").generate_db_auth_token(host, 5432, "orders_app", region)
    ours = iam_token(host, 5432, "orders_app", region, now)
    assert ours.partition("?")[0] == theirs.partition("?")[0]
    # The order of the parameters differs, but the signature does not depend on it.
    assert sorted(ours.partition("?")[2].split("&")) == sorted(theirs.partition("?")[2].split("&"))


def test_the_roots_for_the_proxy_are_amazons_and_will_not_expire_soon() -> None:
    context = ssl.create_default_context(cafile=str(AMAZON_ROOTS))
    roots: list[dict[str, Any]] = context.get_ca_certs()
    names = {value for root in roots for part in root["subject"] for name, value in part if name == "commonName"}
    assert names == {*(f"Amazon Root CA {number}" for number in (1, 2, 3, 4)), f"{STARFIELD} - G2"}
    assert min(ssl.cert_time_to_seconds(root["notAfter"]) for root in roots) > BEGINNING_OF_2037
