"""Webhooks, from what is due to what a real receiver got, and back to the list of deliveries."""

import base64
import hmac
import json
import math
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from botocore.exceptions import EndpointConnectionError

from contract.functions import ROOT
from drill.servers import wait_until
from orders import posting, targets
from orders.driver import DatabaseError
from tests.harness import Clients, Database, Service, assert_problem, created, delete, queue_client, receive

QUEUES = ("webhooks", "webhook_reports")
# Instead of a status: the connection ends, and there is no answer.
CUT_OFF = 0


class Receiver(ThreadingHTTPServer):
    """Answers with `answers`, the last one again and again; keeps what it got."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(204, {}, b"")]
        self.got: list[tuple[dict[str, str], bytes, str]] = []
        self.drip = False
        self.connections = 0
        # Whoever is told at these paths answers late.
        self.held: dict[str, threading.Event] = {}
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.server_port}/hook"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_: Any) -> None:
        """A sender that breaks off is no error of the test's."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body, self.path))
        answers = self.server.answers
        status, headers, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if self.path in self.server.held:
            self.server.held[self.path].wait(posting.SECONDS)
        if status == CUT_OFF:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.server.drip:
            while True:
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.02)
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """The test says what it saw."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, by itself, with its key."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(file) + ".key", "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


@pytest.fixture
def receiver(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    monkeypatch.setenv("WEBHOOKS_CA_FILE", str(certificate))
    # It is where no webhook may go, but for the laptop's.
    monkeypatch.setattr(targets, "ANYWHERE", True)
    posting.tls.cache_clear()
    with Receiver(context) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
    posting.kept.forget(math.inf)
    posting.tls.cache_clear()


@pytest.fixture(autouse=True)
def _no_messages(service: Service) -> Iterator[None]:
    drain()
    yield
    drain()


def drain() -> None:
    for queue in QUEUES:
        while event := receive(queue):
            delete(event, queue)


def work(service: Service) -> None:
    """What is due is delivered and settled."""
    service.work_off_queue("deliver_webhook")
    service.work_off_queue("settle_webhook")


def add(service: Service, url: str, *types: str) -> dict[str, Any]:
    return created(service.http("POST", "/api/webhooks/", {"url": url, "types": list(types) or ["*"]}))


def send_test(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    answer = service.http("POST", f"/api/webhooks/{webhook['id']}/test/")
    assert answer.status == 202, answer.text
    document: dict[str, Any] = answer.json
    return document


def deliveries(service: Service, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.http("GET", f"/api/webhooks/{webhook['id']}/deliveries/").json["results"]
    return found


def state(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service.http("GET", f"/api/webhooks/{webhook['id']}/").json
    return found


def signed(secret: str, headers: dict[str, str], body: bytes) -> str:
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def pass_time(db: Database, interval: str) -> None:
    """As if it had passed: all that is kept of times lies that much further back."""
    db.sql(f"UPDATE outbox SET due_at = due_at - interval '{interval}'")
    columns = ("round_began_at", "created_at", "attempted_at", "leased_until", "next_attempt_at", "finished_at")
    db.sql("UPDATE webhook_deliveries SET " + ", ".join(f"{name} = {name} - interval '{interval}'" for name in columns))
    db.sql(f"UPDATE webhooks SET failing_since = failing_since - interval '{interval}'")
    db.sql(f"UPDATE webhooks SET former_secret_until = former_secret_until - interval '{interval}'")


def test_a_receiver_gets_what_is_sent_to_it_signed(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(200, {}, b"thanks" * 500)]
    delivery = send_test(service, webhook)
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)
    work(service)
    [(headers, body, path)] = receiver.got
    assert path == "/hook"
    assert json.loads(body)["type"] == "webhook.test"
    assert (headers["content-type"], headers["webhook-id"]) == ("application/json", f"test-{delivery['id']}")
    assert headers["webhook-signature"] == signed(webhook["secret"], headers, body)
    standardwebhooks.Webhook(webhook["secret"]).verify(body, headers)
    [done] = deliveries(service, webhook)
    assert (done["status"], done["attempts"], done["status_code"]) == ("succeeded", 1, 200)
    assert done["answer"] == ("thanks" * 500)[:1024]
    assert (done["next_attempt_at"], done["error"]) == (None, None)
    assert db.value("SELECT count(*) FROM outbox") == 0


def snippets(language: str) -> list[str]:
    """The code of docs/webhooks.md."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text(), re.DOTALL)


def test_what_arrives_is_verified_as_the_document_says(service: Service, receiver: Receiver, tmp_path: Path) -> None:
    secret = add(service, receiver.url)["secret"]
    service.customer(name="Zoë")
    work(service)
    [(headers, body, _)] = receiver.got
    [python], [node] = snippets("python"), snippets("js")
    names: dict[str, Any] = {}
    exec(python, names)
    assert names["verified"](secret, headers, body) == json.loads(body)
    shell = {
        **os.environ, "secret": secret, "id": headers["webhook-id"], "timestamp": headers["webhook-timestamp"],
        "body": body.decode(),
    }  # fmt: skip
    made = subprocess.run(["sh", "-c", snippets("sh")[-1]], env=shell, check=True, capture_output=True, text=True).stdout
    assert headers["webhook-signature"] == f"v1,{made.strip()}"
    (tmp_path / "verify.mjs").write_text(node)
    (tmp_path / "run.mjs").write_text(
        'import { verified } from "./verify.mjs";\nconst [secret, headers, body] = JSON.parse(process.argv[2]);\n'
        "console.log(verified(secret, headers, Buffer.from(body, 'base64')).type);"
    )
    command = [str(Path(sys.executable).with_name("node")), str(tmp_path / "run.mjs")]
    for sent, status in ((body, 0), (body + b" ", 1)):
        given = json.dumps([secret, headers, base64.b64encode(sent).decode()])
        ran = subprocess.run([*command, given], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout.strip()) == (status, "customer.created" if status == 0 else ""), ran.stderr


def test_an_event_goes_to_the_webhooks_that_want_it_as_the_feed_shows_it(
    service: Service, db: Database, receiver: Receiver
) -> None:
    every, paid = add(service, receiver.url), add(service, receiver.url, "order.paid")
    service.http("PATCH", f"/api/webhooks/{add(service, receiver.url)['id']}/", {"enabled": False})
    service.order(service.customer()["id"], status="paid")
    work(service)
    feed = service.http("GET", "/api/events/").json["results"]
    assert [event["type"] for event in feed] == ["customer.created", "order.created", "order.paid"]
    assert {delivery["type"] for delivery in deliveries(service, paid)} == {"order.paid"}
    assert {delivery["event_id"] for delivery in deliveries(service, every)} == {event["id"] for event in feed}
    got = sorted(((headers["webhook-id"], json.loads(body)) for headers, body, _ in receiver.got), key=lambda one: int(one[0]))
    assert got == [(str(event["id"]), event) for event in [*feed, feed[-1]]]
    assert db.value("SELECT count(*) FROM outbox") == 0


# What SQS takes; it refuses anything else, or puts another character in its place. The stand-in of the tests does neither.
TAKEN = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


def test_a_character_that_sqs_does_not_take_arrives_all_the_same(service: Service, receiver: Receiver) -> None:
    webhook = add(service, receiver.url, "customer.created")
    name = "\ufffeA\uffff\U0001fffe"
    service.customer(name=name)
    service.relay()
    event = receive("webhooks")
    assert event is not None
    assert TAKEN.fullmatch(event["Records"][0]["body"])
    assert service.invoke("deliver_webhook", event) == {"batchItemFailures": []}
    [(headers, body, _)] = receiver.got
    assert signed(webhook["secret"], headers, body) == headers["webhook-signature"]
    assert json.loads(body)["changes"]["name"] == [None, name]


def test_the_deliveries_about_an_order_are_listed_as_its_history_goes(service: Service, db: Database) -> None:
    every, paid = add(service, "https://shop.example.com/all"), add(service, "https://shop.example.com/paid", "order.paid")
    customer = service.customer()["id"]
    other = service.order(customer, status="paid")
    order = service.order(customer, status="delivered")
    told = [("order.created", every), ("order.paid", every), ("order.paid", paid), ("order.shipped", every)]
    told = [(kind, webhook["id"]) for kind, webhook in [*told, ("order.delivered", every)]]
    path = f"/api/orders/{order['id']}/webhook-deliveries/"
    for limit in (1, 2, 50):
        assert [(each["type"], each["webhook_id"]) for each in walked(service, path, limit)] == told
    known = {each["id"]: each for webhook in (every, paid) for each in deliveries(service, webhook)}
    assert [known[each["id"]] for each in walked(service, path, 50)] == walked(service, path, 50)
    events = service.http("GET", f"/api/orders/{order['id']}/events/").json["results"]
    assert {each["event_id"] for each in walked(service, path, 50)} == {event["id"] for event in events}
    assert len(walked(service, f"/api/orders/{other['id']}/webhook-deliveries/", 50)) == 3
    assert_problem(service.http("GET", "/api/orders/999/webhook-deliveries/"), 404)


def test_a_page_of_an_orders_deliveries_costs_no_more_where_there_are_none(service: Service, db: Database) -> None:
    """Of a history without end, most of which nobody was told."""
    add(service, "https://shop.example.com/all", "order.paid")
    order = service.order(service.customer()["id"], status="delivered")["id"]
    path = f"/api/orders/{order}/webhook-deliveries/"
    db.sql(
        "INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)"
        " SELECT :order, 1, 4 + n, 'order.updated', 'r', '{}' FROM generate_series(1, 2000) AS n",
        order=order,
    )
    db.sql("ANALYZE events")
    page = service.http("GET", path, query={"limit": 10}).json
    assert ([each["type"] for each in page["results"]], page["next_cursor"] is not None) == (["order.paid"], True)
    assert [each["type"] for each in walked(service, path, 200)] == ["order.paid"]
    with closing(db.connect("orders_app")) as connection:
        sql = service.module("list_order_deliveries").LIST
        [[plan]] = connection.run(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", order_id=order, sequence=0, after=0, rows=11
        )
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    # An event and its place in the index on deliveries take three pages or so each.
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 11 * 5 + 20, plan


def walked(service: Service, path: str, limit: int) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        query = {"limit": limit, **({} if cursor is None else {"cursor": cursor})}
        page = service.http("GET", path, query=query).json
        found += page["results"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_the_secret_is_shown_once_and_never_travels(service: Service, db: Database, receiver: Receiver) -> None:
    body = {"url": receiver.url, "types": ["*"]}
    first = service.http("POST", "/api/webhooks/", body, headers={"Idempotency-Key": "k"})
    again = service.http("POST", "/api/webhooks/", body, headers={"Idempotency-Key": "k"})
    secret = first.json["secret"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json == {**first.json, "secret": None}
    assert "secret" not in state(service, first.json)
    assert db.value("SELECT count(*) FROM idempotency_keys WHERE body LIKE '%whsec_%'") == 0
    send_test(service, first.json)
    service.relay()
    event = receive("webhooks")
    assert event is not None
    assert secret.removeprefix("whsec_") not in event["Records"][0]["body"]
    with closing(db.connect("orders_app")) as connection:
        for column in ("secret", "former_secret"):
            with pytest.raises(DatabaseError, match="permission denied"):
                connection.run(f"SELECT {column} FROM webhooks")


def test_for_a_day_after_a_rotation_both_secrets_are_valid(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    new = service.http("POST", f"/api/webhooks/{webhook['id']}/rotate-secret/").json["secret"]
    assert new != webhook["secret"]
    send_test(service, webhook)
    work(service)
    pass_time(db, "25 hours")
    send_test(service, webhook)
    work(service)
    [(headers, body, _), (later, later_body, _)] = receiver.got
    both = [signed(secret, headers, body) for secret in (new, webhook["secret"])]
    assert headers["webhook-signature"].split() == both
    assert later["webhook-signature"] == signed(new, later, later_body)


def test_a_receiver_that_is_down_for_a_day_gets_everything(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(500, {}, b"down")]
    sent = {send_test(service, webhook)["id"] for _ in range(8)}
    for _ in range(24):
        work(service)
        pass_time(db, "1 hour")
    assert state(service, webhook)["enabled"] is True
    assert {delivery["status"] for delivery in deliveries(service, webhook)} == {"pending"}
    receiver.answers, receiver.got = [(200, {}, b"")], []
    for _ in range(24):
        work(service)
        pass_time(db, "1 hour")
    assert sorted(headers["webhook-id"] for headers, *_ in receiver.got) == sorted(f"test-{number}" for number in sent)
    assert {delivery["status"] for delivery in deliveries(service, webhook)} == {"succeeded"}
    assert (state(service, webhook)["failures"], db.value("SELECT count(*) FROM outbox")) == (0, 0)


def test_attempts_come_further_and_further_apart_and_end_after_three_days(
    service: Service, db: Database, receiver: Receiver
) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(500, {}, b"")]
    send_test(service, webhook)
    # Each counts from some moment while it was worked.
    pauses, most = [], []
    left = "extract(epoch FROM next_attempt_at - :since)::float8"
    for _ in range(20):
        began = db.value("SELECT now()")
        work(service)
        [[status, pause]] = db.sql(f"SELECT status, {left.replace(':since', 'now()')} FROM webhook_deliveries")
        if status != "pending":
            break
        pauses.append(pause)
        most.append(db.value(f"SELECT {left} FROM webhook_deliveries", since=began))
        pass_time(db, f"{pause} seconds")
    assert status == "failed"
    wanted = service.module("settle_webhook").PAUSES
    assert len(pauses) in (9, 10)
    for pause, longest, meant in zip(pauses[:8], most, wanted, strict=False):
        assert pause < 1.21 * meant
        assert 0.79 * meant < longest
    assert sum(pauses) <= 72 * 3600 + 30
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_retry_after_is_honoured_but_not_beyond_the_three_days(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(503, {"Retry-After": "3600"}, b""), (429, {"Retry-After": "99999999"}, b"")]
    send_test(service, webhook)
    left = "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM webhook_deliveries"
    work(service)
    assert 3590 < db.value(left) <= 3600
    pass_time(db, "1 hour")
    work(service)
    assert 70 * 3600 < db.value(left) <= 71 * 3600


def test_410_disables_a_webhook_at_once_and_enabling_it_makes_replays_possible(
    service: Service, db: Database, receiver: Receiver
) -> None:
    webhook, since = add(service, receiver.url), "2020-01-01T00:00:00Z"
    path = f"/api/webhooks/{webhook['id']}/"
    receiver.answers = [(410, {}, b"gone"), (200, {}, b"")]
    first = send_test(service, webhook)
    work(service)
    disabled = state(service, webhook)
    assert (disabled["enabled"], "410" in disabled["disabled_reason"]) == (False, True)
    assert [delivery["status"] for delivery in deliveries(service, webhook)] == ["failed"]
    assert_problem(service.http("POST", f"{path}test/"), 409)
    assert_problem(service.http("POST", f"{path}replay/", {"since": since}), 409)
    assert_problem(service.http("POST", f"{path}deliveries/{first['id']}/retry/"), 409)
    enabled = service.http("PATCH", path, {"enabled": True}).json
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)
    replay = [service.http("POST", f"{path}replay/", {"since": since}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.text for answer in replay] == ['{"deliveries":1,"remaining":false}'] * 2
    work(service)
    assert [delivery["status"] for delivery in deliveries(service, webhook)] == ["succeeded"]
    assert len(receiver.got) == 2


def test_a_replay_brings_what_a_webhook_has_missed_while_it_was_disabled(
    service: Service, db: Database, receiver: Receiver
) -> None:
    webhook, since = add(service, receiver.url, "customer.created"), "2020-01-01T00:00:00Z"
    path = f"/api/webhooks/{webhook['id']}/"
    service.http("PATCH", path, {"enabled": False})
    service.customer("missed@example.com")
    work(service)
    assert ([delivery["status"] for delivery in deliveries(service, webhook)], receiver.got) == (["cancelled"], [])
    # A webhook that nobody enables again shall not collect them for ever.
    db.sql("UPDATE webhooks SET disabled_at = now() - interval '31 days'")
    service.customer("later@example.com")
    service.http("PATCH", path, {"enabled": True})
    assert service.http("POST", f"{path}replay/", {"since": since}).json == {"deliveries": 1, "remaining": False}
    work(service)
    assert [b"missed@example.com" in body for _, body, _ in receiver.got] == [True]


def test_a_webhook_that_fails_for_three_days_is_disabled_with_a_reason(
    service: Service, db: Database, receiver: Receiver
) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(500, {}, b"")]
    send_test(service, webhook)
    work(service)
    db.sql("UPDATE webhooks SET failing_since = now() - interval '73 hours', failures = 8")
    pass_time(db, "1 minute")
    work(service)
    assert state(service, webhook)["enabled"] is True
    pass_time(db, "1 minute")
    work(service)
    disabled = state(service, webhook)
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "Nothing could be delivered for 72 hours.")
    # What was to be sent later is cancelled when it comes due.
    pass_time(db, "1 day")
    work(service)
    assert [delivery["status"] for delivery in deliveries(service, webhook)] == ["cancelled"]
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_what_was_meant_for_a_deleted_webhook_is_not_sent(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    send_test(service, webhook)
    path = f"/api/webhooks/{webhook['id']}/"
    etag = service.http("GET", path).headers["etag"]
    assert_problem(service.http("DELETE", path, headers={"If-Match": '"other"'}), 412)
    assert service.http("DELETE", path, headers={"If-Match": etag}).status == 204
    assert_problem(service.http("GET", f"{path}deliveries/"), 404)
    work(service)
    assert receiver.got == []
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_what_waits_for_a_webhook_ends_when_it_is_deleted(service: Service, db: Database) -> None:
    webhook, other = add(service, "https://shop.example.com/hook"), add(service, "https://shop.example.com/hook", "order.paid")
    db.sql("UPDATE webhooks SET failing_since = now()")
    service.customer()
    send_test(service, other)
    assert service.http("DELETE", f"/api/webhooks/{webhook['id']}/").status == 204
    service.relay()
    assert db.sql("SELECT webhook_id, status, waiting FROM webhook_deliveries ORDER BY 1") == [
        [webhook["id"], "cancelled", False],
        [other["id"], "pending", False],
    ]


@pytest.mark.parametrize(("answer", "becomes"), [(204, "succeeded"), (410, "failed")])
def test_a_report_counts_also_where_its_delivery_waits_to_be_made_again(
    service: Service, db: Database, receiver: Receiver, answer: int, becomes: str
) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(answer, {}, b"")]
    send_test(service, webhook)
    service.work_off_queue("deliver_webhook")
    report = receive("webhook_reports")
    assert report is not None
    pass_time(db, "200 seconds")
    db.sql(
        "INSERT INTO webhook_deliveries (webhook_id, type, leased_until)"
        " SELECT :id, 'order.paid', now() + interval '1 hour' FROM generate_series(1, 50)",
        id=webhook["id"],
    )
    service.relay()
    delivery = "SELECT status, waiting FROM webhook_deliveries WHERE type = 'webhook.test'"
    assert db.sql(delivery) == [["pending", True]]
    service.invoke("settle_webhook", report)
    delete(report, "webhook_reports")
    service.http("PATCH", f"/api/webhooks/{webhook['id']}/", {"enabled": False})
    service.relay()
    assert db.sql(delivery) == [[becomes, False]]


def test_a_report_that_comes_twice_changes_nothing(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    receiver.answers = [(500, {}, b"")]
    send_test(service, webhook)
    service.work_off_queue("deliver_webhook")
    event = receive("webhook_reports")
    assert event is not None
    delete(event, "webhook_reports")
    for _ in range(2):
        assert service.invoke("settle_webhook", event) == {"batchItemFailures": []}
    assert [delivery["attempts"] for delivery in deliveries(service, webhook)] == [1]
    assert state(service, webhook)["failures"] == 1


def test_a_lost_report_is_made_up_for_when_the_lease_ends(service: Service, db: Database, receiver: Receiver) -> None:
    webhook = add(service, receiver.url)
    send_test(service, webhook)
    service.work_off_queue("deliver_webhook")
    drain()
    assert service.relay() == 0
    pass_time(db, "200 seconds")
    work(service)
    assert len(receiver.got) == 2
    assert [delivery["status"] for delivery in deliveries(service, webhook)] == ["succeeded"]


def test_reports_are_sent_together_and_wait_for_no_slow_receiver(
    service: Service, db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = add(service, receiver.url), add(service, f"{receiver.url}/slow")
    for webhook in (quick, slow, quick, quick):
        send_test(service, webhook)
    service.relay()
    sending, reports = service.module("deliver_webhook"), []
    # Under load, three answers take their time.
    monkeypatch.setattr(sending, "TOGETHER_SECONDS", 1)

    class Counting:
        def send_message_batch(self, **request: Any) -> Any:
            reports.append(len(request["Entries"]))
            receiver.held["/hook/slow"].set()
            return queue_client().send_message_batch(**request)

    monkeypatch.setattr(sending, "sqs", Counting)
    receiver.held = {"/hook/slow": threading.Event()}
    event = receive("webhooks")
    assert event is not None
    assert service.invoke("deliver_webhook", event) == {"batchItemFailures": []}
    assert reports == [3, 1]
    work(service)
    assert db.sql("SELECT DISTINCT status FROM webhook_deliveries") == [["succeeded"]]


def test_messages_whose_reports_the_queue_does_not_take_come_again(
    service: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = add(service, receiver.url)
    for _ in range(2):
        send_test(service, webhook)
    service.relay()
    event = receive("webhooks")
    assert event is not None
    first, second = (record["messageId"] for record in event["Records"])

    class Refusing:
        def send_message_batch(self, **request: Any) -> Any:
            return {"Failed": [{"Id": second, "Code": "InternalError"}]}

    class Away:
        def send_message_batch(self, **request: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="https://sqs.example.com")

    for queue, failed in ((Refusing, {second}), (Away, {first, second})):
        monkeypatch.setattr(service.module("deliver_webhook"), "sqs", queue)
        answer = service.invoke("deliver_webhook", event)
        assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} == failed


def test_a_message_that_is_out_of_date_is_not_sent(
    service: Service, db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_test(service, add(service, receiver.url))
    monkeypatch.setattr(service.module("deliver_webhook"), "MOST_SECONDS_OLD", -1)
    work(service)
    assert receiver.got == []


def test_a_failing_webhook_has_few_messages_on_their_way_and_holds_up_no_other(
    service: Service, db: Database, receiver: Receiver
) -> None:
    dead, well = add(service, receiver.url), add(service, receiver.url)
    db.sql("UPDATE webhooks SET failing_since = now() WHERE id = :id", id=dead["id"])
    for _ in range(20):
        send_test(service, dead)
    send_test(service, well)
    assert service.relay() == 5 + 1
    drain()
    # The others wait outside of the outbox, where nobody has to look at them.
    assert db.value("SELECT count(*) FROM outbox") == 5 + 1
    assert db.value("SELECT count(*) FROM webhook_deliveries WHERE waiting") == 15
    # Those on their way count until their lease ends.
    assert service.relay() == 0
    db.sql("UPDATE webhook_deliveries SET leased_until = NULL; DELETE FROM outbox")
    assert service.relay() == 5
    assert db.value("SELECT count(*) FROM webhook_deliveries WHERE waiting") == 10


@pytest.mark.parametrize(
    ("answer", "code"), [((302, {"Location": "/elsewhere"}, b""), 302), ((404, {}, b""), 404), ((500, {}, b""), 500)]
)
def test_anything_but_2xx_is_a_failure_and_no_redirect_is_followed(
    receiver: Receiver, answer: tuple[int, dict[str, str], bytes], code: int
) -> None:
    receiver.answers = [answer]
    assert posting.post(receiver.url, {}, b"{}").status_code == code
    assert len(receiver.got) == 1


def test_an_answer_that_never_ends_is_cut_off(receiver: Receiver) -> None:
    """Its status came in time, and the rest does not matter."""
    receiver.drip, receiver.answers = True, [(200, {}, b"")]
    outcome = posting.post(receiver.url, {}, b"{}", seconds=1.5)
    assert (outcome.status_code, outcome.error) == (200, None)
    assert len(outcome.answer or "") < posting.ANSWER_BYTES


def test_a_success_is_one_whatever_is_wrong_with_the_rest_of_the_answer(receiver: Receiver) -> None:
    receiver.answers = [(200, {"Transfer-Encoding": "chunked"}, b"no chunk\r\n"), (204, {}, b"")]
    outcome = posting.post(receiver.url, {}, b"{}")
    assert (outcome.status_code, outcome.error) == (200, None)


def test_a_connection_is_used_again_if_the_receiver_keeps_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    well, closing = {"Content-Length": "2"}, {"Content-Length": "2", "Connection": "close"}

    def post(*answers: tuple[int, dict[str, str], bytes]) -> tuple[int | None, int]:
        """The status, and how many connections there have been."""
        receiver.answers = [*answers]
        return posting.post(receiver.url, {}, b"{}").status_code, receiver.connections

    assert post((200, well, b"ok")) == (200, 1)
    assert post((204, {}, b"")) == (204, 1)
    # It ends just as it is used again, which says nothing of the receiver.
    assert post((CUT_OFF, {}, b""), (200, well, b"ok")) == (200, 2)
    assert len(receiver.got) == 4
    # It has ended since.
    receiver.answers = [(200, well, b"ok")]
    [[_, _, connection]] = posting.kept.connections
    connection.sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: select.select([connection.sock], [], [], 0)[0], "The end of the connection")
    assert post((200, closing, b"ok")) == (200, 3)
    assert post((200, {"Content-Length": "9000"}, b"x" * 9000)) == (200, 4)
    assert post((200, well, b"ok")) == (200, 5)
    monkeypatch.setattr(posting, "SECONDS_KEPT", 0)
    assert post((200, well, b"ok")) == (200, 6)


def test_only_so_many_connections_are_kept(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    monkeypatch.setattr(posting, "MOST_KEPT", 2)
    with ThreadPoolExecutor(4) as pool:
        assert {each.status_code for each in pool.map(lambda _: posting.post(receiver.url, {}, b"{}"), range(20))} == {204}
    assert len(posting.kept.connections) <= 2


def test_the_host_is_named_as_in_the_url(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers behind a gateway are found by it; hardly any knows itself with `:443`."""
    posting.post(receiver.url, {}, b"{}")
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda to, **kw: connect((to[0], receiver.server_port), **kw))
    posting.post("https://localhost/hook", {}, b"{}")
    assert [headers["host"] for headers, _, _ in receiver.got] == [f"localhost:{receiver.server_port}", "localhost"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_says_nothing_is_not_waited_for(receiver: Receiver, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = posting.post(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/", {}, b"{}", seconds=0.3)
    assert (outcome.status_code, outcome.error) == (None, "No answer within 0.3 seconds")


@pytest.mark.parametrize(
    ("scheme", "says", "error"),
    [
        ("http", None, "the connection was refused"),
        ("http", b"", "the connection was closed"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS could not be agreed on"),
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n", "what came is not HTTP"),
    ],
)
def test_why_there_was_no_answer_is_said_in_words(scheme: str, says: bytes | None, error: str, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/"

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(says or b"")

        if says is None:
            server.close()
        else:
            pool.submit(answer)
        outcome = posting.post(url, {}, b"{}")
    assert (outcome.status_code, outcome.error) == (None, f"No answer: {error}")


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOKS_CA_FILE")
    posting.tls.cache_clear()
    outcome = posting.post(receiver.url, {}, b"{}")
    assert outcome.status_code is None
    assert "certificate" in (outcome.error or "")
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/", "ftp://shop.example.com/", "shop.example.com", "https://", "https:///path",
        "https://user@shop.example.com/", "https://user:password@shop.example.com/", "https://shop.example.com:22/",
        "https://shop.example.com:99999/", "https://shop.example.com/#part", "https://localhost/", "https://LOCALHOST./",
        "https://a.localhost/", "https://metadata.google.internal/", "https://printer.local/", "https://shop/",
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.0x1/",
        "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/meta-data/", "https://[fe80::1%25eth0]/",
        "https://shop.example.com/a b", "https://shop.example.com\\@localhost/", "https://höhle.example/", "https://[/",
    ],
)  # fmt: skip
def test_a_url_that_would_never_be_sent_to_is_refused(service: Service, url: str) -> None:
    assert_problem(service.http("POST", "/api/webhooks/", {"url": url, "types": ["*"]}), 422, "url")
    webhook = add(service, "https://shop.example.com:8443/hook?x=1")
    assert_problem(service.http("PATCH", f"/api/webhooks/{webhook['id']}/", {"url": url}), 422, "url")


def test_a_webhook_is_changed_and_listed(service: Service) -> None:
    first = add(service, "https://shop.example.com/hook", "order.paid")
    path = f"/api/webhooks/{first['id']}/"
    answer = service.http("GET", path)
    assert service.http("GET", path, headers={"If-None-Match": answer.headers["etag"]}).status == 304
    assert_problem(service.http("PATCH", path, {"types": ["order.lost"]}), 422, "types.0")
    assert_problem(service.http("PATCH", path, {"description": "x"}, headers={"If-Match": '"other"'}), 412)
    changed = service.http("PATCH", path, {"enabled": False, "types": ["*"]}, headers={"If-Match": answer.headers["etag"]})
    assert (changed.json["enabled"], changed.json["types"]) == (False, ["*"])
    second = add(service, "https://shop.example.com/other")
    assert [one["id"] for one in service.http("GET", "/api/webhooks/").json["results"]] == [second["id"], first["id"]]
    assert_problem(service.http("GET", "/api/webhooks/999/"), 404)
    assert_problem(service.http("POST", "/api/webhooks/999/test/"), 404)


def test_there_are_no_more_than_100(service: Service, clients: Clients, db: Database) -> None:
    """Also where one that is just being created is not seen yet."""
    db.sql("INSERT INTO webhooks (url, types, description, secret) SELECT 'x', '{*}', '', '' FROM generate_series(1, 98)")
    url = "https://shop.example.com/hook"
    path = f"/api/webhooks/{add(service, url)['id']}/"
    creating = service.connections["orders_app"]
    assert creating is not None
    creating.run("BEGIN")
    add(service, url)
    another = clients.submit((("POST", "/api/webhooks/", {"url": url, "types": ["*"]}), {}))
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    wait_until(lambda: another.done() or db.value(waits) == 1, "a wait for the other webhook")
    creating.run("COMMIT")
    assert_problem(another.result(), 409)
    service.http("DELETE", path)
    add(service, url)


def test_no_delivery_keeps_an_erased_customers_address(service: Service, db: Database, receiver: Receiver) -> None:
    """Not even if the receiver says it after the erasure, about what was on its way."""
    webhook = add(service, receiver.url, "customer.created", "customer.updated", "order.created")
    customer = service.customer(email="erase@me.example")
    path = f"/api/customers/{customer['id']}/"
    receiver.answers = [(200, {}, b"erase@me.example, welcome")]
    service.order(customer["id"])
    work(service)
    answers = [delivery["answer"] for delivery in deliveries(service, webhook)]
    assert sorted(b"erase@me.example" in body for _, body, _ in receiver.got) == [False, True]
    assert answers == ["erase@me.example, welcome"] * 2
    service.http("PATCH", path, {"name": "Other"})
    service.work_off_queue("deliver_webhook")
    assert service.http("POST", f"{path}erase/").status == 200
    service.work_off_queue("settle_webhook")
    assert [(delivery["status"], delivery["answer"]) for delivery in deliveries(service, webhook)] == [("succeeded", None)] * 3
    for delivery in deliveries(service, webhook):
        service.http("POST", f"/api/webhooks/{webhook['id']}/deliveries/{delivery['id']}/retry/")
    receiver.got = []
    work(service)
    assert len(receiver.got) == 3
    assert not [body for _, body, _ in receiver.got if b"me.example" in body]
    assert db.value("SELECT count(*) FROM webhook_deliveries AS d WHERE d::text LIKE '%me.example%'") == 0


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("statement", ["ERASE_CUSTOMER", "ERASE_DELETED_CUSTOMER"])
def test_an_answer_that_is_reported_during_an_erasure_is_not_kept(
    service: Service, db: Database, receiver: Receiver, statement: str
) -> None:
    webhook = add(service, receiver.url, "customer.created")
    receiver.answers = [(200, {}, b"erase@me.example, welcome")]
    customer = service.customer(email="erase@me.example")["id"]
    service.work_off_queue("deliver_webhook")
    report = receive("webhook_reports")
    assert report is not None
    if statement == "ERASE_DELETED_CUSTOMER":
        service.http("DELETE", f"/api/customers/{customer}/")
    erasing = db.connect("orders_app")
    erasing.run("BEGIN")
    erase = getattr(service.module("erase_customer"), statement)
    erasing.run(erase, customer_id=customer, actor=None, request_id="r")
    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(service.invoke, "settle_webhook", report)
        wait_until(lambda: settling.done() or db.value(WAITING), "a wait for the erasure, or the end of the report")
        erasing.run("COMMIT")
        erasing.close()
        assert settling.result() == {"batchItemFailures": []}
    assert [(delivery["status"], delivery["answer"]) for delivery in deliveries(service, webhook)] == [("succeeded", None)]


@pytest.mark.parametrize(
    ("since", "status"),
    [
        ("5775-08-26T21:17:23+23:38", 202),
        ("2026-11-26t10:00:00.5z", 202),
        ("0001-01-01T00:00:00+01:00", 422),
        ("9999-12-31T23:59:59-01:00", 422),
        ("2026-02-30T00:00:00Z", 422),
        ("2016-12-31T23:59:60Z", 422),
        ("2026-11-26", 422),
    ],
)
def test_a_replay_is_since_any_time_that_there_is(service: Service, db: Database, since: str, status: int) -> None:
    webhook = add(service, "https://shop.example.com/hook")
    assert service.http("POST", f"/api/webhooks/{webhook['id']}/replay/", {"since": since}).status == status


@pytest.mark.parametrize("enabled", [{}, [], "yes", 1, None])
def test_enabled_is_true_or_false(service: Service, db: Database, enabled: Any) -> None:
    webhook = add(service, "https://shop.example.com/hook")
    answer = service.http("PATCH", f"/api/webhooks/{webhook['id']}/", {"enabled": enabled})
    assert answer.status == 422
    assert answer.json["errors"] == [{"field": "enabled", "message": "must be true or false"}]


def test_old_deliveries_are_cleared_away(service: Service, db: Database) -> None:
    webhook = add(service, "https://shop.example.com/hook")
    last = [send_test(service, webhook) for _ in range(3)][-1]
    db.sql(
        "UPDATE webhook_deliveries SET status = 'failed', created_at = now() - interval '91 days' WHERE id < :id", id=last["id"]
    )
    service.invoke("audit_totals", {})
    assert [delivery["id"] for delivery in deliveries(service, webhook)] == [last["id"]]
