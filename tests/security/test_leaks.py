"""Whatever goes wrong, what customers and callers entrust to the service is in no log: not the functions', not PostgreSQL's."""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from local.postgres import EmbeddedPostgres
from orders.logs import logger
from tests.harness import ROLE_PASSWORD, Database, Service, delete, receive

# Each in a form that no other test writes. Passwords and tokens are never to be seen; the others only by who may read tables.
PLANTED = {
    "address": "planted.address.7f3a@example.com",
    "other address": "planted.other.7f3a@example.com",
    "name": "Planted Name 7f3a",
    "metadata": "planted-metadata-7f3a",
    "reason": "planted-reason-7f3a",
    "reference": "planted-reference-7f3a",
    "sku": "planted-sku-7f3a",
    "key": "planted-key-7f3a",
    "token": "planted-token-7f3a",
    "password": ROLE_PASSWORD,
}
HEADERS = {"authorization": f"Bearer {PLANTED['token']}", "cookie": f"session={PLANTED['token']}"}
ITEM = {"sku": PLANTED["sku"], "quantity": 1, "unit_price_cents": 5}


class Logs:
    """Everything that has been logged since the beginning of the test."""

    def __init__(self, capture: pytest.CaptureFixture[str], postgres: EmbeddedPostgres) -> None:
        self.capture, self.file = capture, postgres.folder / "log"
        self.begin = self.file.stat().st_size

    def read(self) -> tuple[str, str]:
        """The functions' and PostgreSQL's."""
        printed = self.capture.readouterr()
        with self.file.open("rb") as file:
            file.seek(self.begin)
            return printed.out + printed.err, file.read().decode()


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str], postgres: EmbeddedPostgres, db: Database, monkeypatch: pytest.MonkeyPatch) -> Logs:
    # The logger goes on writing to the standard output of the test that first used it.
    for handler in logger().handlers:
        monkeypatch.setattr(handler, "stream", sys.stdout)
    return Logs(capfd, postgres)


def found(text: str) -> list[str]:
    return [name for name, planted in PLANTED.items() if planted.lower() in text.lower()]


def ask(service: Service, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return service.http(method, path, body, headers={**HEADERS, **headers}, subject="caller")


def customer_body(**changes: Any) -> dict[str, Any]:
    return {"email": PLANTED["address"], "name": PLANTED["name"], "metadata": {"a": PLANTED["metadata"]}, **changes}


@pytest.fixture
def order(service: Service) -> dict[str, Any]:
    customer = ask(service, "POST", "/api/customers/", customer_body(), **{"idempotency-key": PLANTED["key"]}).json
    body = {"customer_id": customer["id"], "items": [ITEM], "reference": PLANTED["reference"]}
    order: dict[str, Any] = ask(service, "POST", "/api/orders/", body, **{"idempotency-key": PLANTED["key"]}).json
    return order


def test_the_walk_of_a_good_client_leaves_nothing(service: Service, logs: Logs, order: dict[str, Any]) -> None:
    path, customer = f"/api/orders/{order['id']}", f"/api/customers/{order['customer']['id']}"
    calls = [
        ("GET", customer, None),
        ("PATCH", customer, {"name": f"{PLANTED['name']} II", "email": PLANTED["other address"]}),
        ("PATCH", path, {"metadata": {"b": PLANTED["metadata"]}}),
        ("POST", f"{path}/items", ITEM),
        ("POST", f"{path}/cancel", {"reason": PLANTED["reason"]}),
        ("GET", f"{path}/events", None),
        ("GET", "/api/events/", None),
        ("POST", f"{customer}/erase", None),
    ]
    assert [ask(service, *call).status for call in calls] == [200, 200, 200, 201, 200, 200, 200, 200]
    assert [found(text) for text in logs.read()] == [[], []]


def test_a_refused_client_leaves_nothing(service: Service, logs: Logs, order: dict[str, Any]) -> None:
    key = {"idempotency-key": PLANTED["key"]}
    stale = {"if-match": f'"{PLANTED["token"]}"'}
    customer = f"/api/customers/{order['customer']['id']}"
    reused = {"customer_id": order["customer"]["id"], "items": [ITEM], "reference": PLANTED["reference"]}
    answers = [
        ask(service, "POST", "/api/customers/", customer_body()),
        ask(service, "POST", "/api/customers/", customer_body(name="Another"), **key),
        ask(service, "POST", "/api/orders/", reused),
        ask(service, "PATCH", customer, {"name": PLANTED["name"]}, **stale),
        ask(service, "POST", "/api/customers/", customer_body(nickname=PLANTED["name"])),
        ask(service, "POST", "/api/customers/", {"email": PLANTED["name"], "name": PLANTED["address"], PLANTED["sku"]: 1}),
        ask(service, "POST", "/api/customers/", f'{{"email": "{PLANTED["address"]}'),
        ask(service, "GET", f"/api/orders/{PLANTED['reference']}/"),
        ask(service, "DELETE", customer),
    ]
    assert [answer.status for answer in answers] == [409, 422, 409, 412, 422, 422, 400, 422, 409]
    functions, server = logs.read()
    # The server logs what it refuses, so this is the right file.
    assert "duplicate key value violates unique constraint" in server
    assert [found(functions), found(server)] == [[], []]


@pytest.fixture
def refusing(db: Database) -> Iterator[None]:
    """A refusal that no code knows, as a mistake of ours would be. Its DETAIL is the whole row, as of a check constraint."""
    raising = "RAISE 'surprise' USING ERRCODE = 'XX000', DETAIL = 'Failing row contains ' || NEW::text"
    db.sql(f"CREATE FUNCTION surprise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raising}; END $$")
    db.sql("CREATE TRIGGER surprise BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION surprise()")
    yield
    db.sql("DROP FUNCTION surprise CASCADE")


def test_a_mistake_of_ours_leaves_nothing(service: Service, logs: Logs, refusing: None) -> None:
    with pytest.raises(RuntimeError) as raised:
        ask(service, "POST", "/api/customers/", customer_body())
    functions, server = logs.read()
    # Lambda's runtime prints what escapes from a handler.
    functions += "".join(traceback.format_exception(raised.value))
    assert "XX000" in functions
    assert "surprise" in server
    # The traceback quotes the line of this test, not what the name stands for.
    assert [found(functions), found(server)] == [[], []]


def test_a_worker_that_fails_leaves_no_row(service: Service, logs: Logs, refusing: None) -> None:
    """Its traceback is in the log, with what PostgreSQL said, but not with the row that it said it of."""
    run = ask(service, "POST", "/api/dev/seed/", {"customers": 1}).json["id"]
    service.relay()
    event = receive("seeding")
    assert event is not None
    assert service.invoke("run_seed_chunk", event)["batchItemFailures"]
    delete(event, "seeding")
    functions, server = logs.read()
    assert "surprise" in functions
    assert "surprise" in server
    for text in (functions, server):
        assert "Failing row" not in text
        assert f"@{run}.example.com" not in text


def test_a_database_that_is_away_leaves_nothing(service: Service, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    service.close()
    monkeypatch.setenv("DATABASE_PORT", "1")
    answer = ask(service, "POST", "/api/customers/", customer_body(), **{"idempotency-key": PLANTED["key"]})
    assert answer.status == 503
    functions, server = logs.read()
    assert "cannot be reached" in functions
    assert [found(functions), found(server)] == [[], []]
