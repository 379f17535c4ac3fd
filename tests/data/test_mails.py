"""Mails, from an event to what SES got, and back to what the order's list says of them."""

import email
import json
import os
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

import boto3
import pytest
from markupsafe import escape
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from orders import compose_mails
from orders.mail_message import clean, money
from orders.mail_models import MailType
from tests.harness import Database, LambdaContext, Service, delete, queue_client, receive

QUEUES = ("mail", "mail_reports", "mail_feedback")
SENDER = "The Shop <shop@shop.example.com>"


def drain() -> None:
    for queue in QUEUES:
        while event := receive(queue):
            delete(event, queue)


@pytest.fixture(autouse=True)
def _mail(service: Service, db: Database, sqs: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mail is on, and SES has a sender that it knows."""
    monkeypatch.setenv("MAIL_FROM", SENDER)
    monkeypatch.setenv("MAIL_CONFIGURATION_SET", "orders-test")
    to_ses(service, monkeypatch, sqs)
    backend().email_identities.clear()
    boto3.client("sesv2").create_email_identity(EmailIdentity="shop.example.com")
    backend().sent_messages.clear()
    db.sql("INSERT INTO mail_switch (is_on) VALUES (true)")
    drain()
    yield
    drain()
    service.module("send_mail").ses.cache_clear()


def backend() -> Any:
    return ses_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"]


def to_ses(service: Service, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", url)
    module = service.module("send_mail")
    module.ses.cache_clear()
    module.mails.cache_clear()
    module.accepted.clear()


def sent() -> list[EmailMessage]:
    """What SES has accepted, parsed as a mail program does."""
    messages = [email.message_from_string(message.raw_data, policy=default) for message in backend().sent_messages]
    assert not any(message.defects for message in messages)
    return messages


def parts(message: EmailMessage) -> tuple[str, str]:
    """Its text and its HTML."""
    texts = [message.get_body((kind,)) for kind in ("plain", "html")]
    return tuple(text.get_content() for text in texts if text is not None)


def work(service: Service) -> None:
    """What is due is sent and settled."""
    service.work_off_queue("send_mail")
    service.work_off_queue("settle_mail")


def take() -> dict[str, Any]:
    """What SQS has for the sender. It will not deliver that to another test."""
    event = receive("mail")
    assert event is not None
    delete(event, "mail")
    return event


def make_due(db: Database) -> None:
    """As if all leases and pauses were over."""
    db.sql("UPDATE outbox SET due_at = now(); UPDATE mails SET leased_until = NULL")


def mails(service: Service, order: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.http("GET", f"/api/orders/{order['id']}/mails/").json["results"]
    return found


def feedback(service: Service, mail: dict[str, Any], kind: str, **details: Any) -> None:
    """What SES publishes, as SNS delivers it."""
    name = kind.lower()
    tags = {"mail": [str(mail["id"])], "address_hash": [sent_tags()[mail["id"]]]}
    event = {"eventType": kind, "mail": {"messageId": mail["message_id"] or "from-ses", "tags": tags}, name: details}
    url = os.environ["MAIL_FEEDBACK_QUEUE_URL"]
    queue_client().send_message(QueueUrl=url, MessageBody=json.dumps(event))
    service.work_off_queue("record_mail_feedback")


tagged: dict[int, str] = {}


def sent_tags() -> dict[int, str]:
    return tagged


@pytest.fixture(autouse=True)
def _tags(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto keeps no tags, so the test does."""
    module = service.module("send_mail")
    send = module.send
    tagged.clear()

    def send_and_remember(message: dict[str, Any]) -> Any:
        tagged[message["mail"]] = message["address_hash"]
        return send(message)

    monkeypatch.setattr(module, "send", send_and_remember)


def test_a_customer_is_told_of_what_becomes_of_an_order(service: Service, db: Database) -> None:
    customer = service.customer("alice@example.com", "Alice Nguyen")
    order = service.order(customer["id"], (2, 150), (1, 123_456))
    service.http("POST", f"/api/orders/{order['id']}/items/", {"sku": "CAP", "quantity": 1, "unit_price_cents": 5})
    work(service)
    for action in ("pay", "pay", "ship", "deliver"):
        assert service.act(order["id"], action).status == 200
        work(service)
    cancelled = service.order(customer["id"], status="cancelled")
    work(service)
    listed = mails(service, order)
    assert [mail["type"] for mail in listed] == ["order.created", "order.paid", "order.shipped", "order.delivered"]
    assert [mail["type"] for mail in mails(service, cancelled)] == ["order.created", "order.cancelled"]
    events = {event["id"]: event["type"] for event in service.http("GET", f"/api/orders/{order['id']}/events/").json["results"]}
    for mail, message in zip(listed, backend().sent_messages, strict=False):
        assert events[mail["event_id"]] == mail["type"]
        assert (mail["status"], mail["attempts"], mail["error"]) == ("sent", 1, None)
        assert mail["message_id"] == message.id
        assert mail["finished_at"] >= mail["created_at"]
    first = sent()[0]
    assert first["To"] == "alice@example.com"
    assert (first["From"], first["Auto-Submitted"]) == (SENDER, "auto-generated")
    assert first["Subject"] == f"We have received your order #{order['id']}"
    assert first["Date"].datetime.utcoffset() is not None
    assert first["Message-ID"] == f"<mail.{listed[0]['id']}@shop.example.com>"
    text, html = parts(first)
    for line in ("Hello Alice Nguyen,", "          3.00  2 × SKU-0", "      1,234.56  1 × SKU-1", "      1,237.61  in total"):
        assert line in text.splitlines()
    assert "<bdi>Alice Nguyen</bdi>" in html
    assert "1,237.61" in html
    assert not re.search(r"(src|href|url\()", html)
    assert len(sent()) == 6
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_a_reference_is_what_the_order_is_called(service: Service) -> None:
    item = {"sku": "MUG", "quantity": 1, "unit_price_cents": 1}
    service.http("POST", "/api/orders/", {"customer_id": service.customer()["id"], "reference": "PO-17", "items": [item]})
    work(service)
    assert sent()[0]["Subject"] == "We have received your order PO-17"


def test_an_order_of_many_items_is_a_mail_that_can_be_read(service: Service) -> None:
    service.order(service.customer()["id"], *[(1, 1)] * 500)
    work(service)
    text, html = parts(sent()[0])
    assert text.count("SKU-") == html.count("SKU-") == compose_mails.MOST_ITEMS
    assert "and 400 more" in text
    assert "and 400 more" in html
    assert len(backend().sent_messages[0].raw_data) < 102_400


def test_no_statement_adds_a_mail_while_mail_is_off(service: Service, db: Database) -> None:
    db.sql("DELETE FROM mail_switch")
    order = service.order(service.customer()["id"], status="delivered")
    assert db.sql("SELECT (SELECT count(*) FROM mails), (SELECT count(*) FROM outbox)") == [[0, 0]]
    assert mails(service, order) == []


def test_a_migration_switches_mail_on_and_off_as_the_deployment_says(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sender, on in [(None, 1), ("", 0), (SENDER, 1), (SENDER, 1), (None, 1), ("", 0)]:
        monkeypatch.delenv("MAIL_FROM") if sender is None else monkeypatch.setenv("MAIL_FROM", sender)
        service.invoke("migrate_database", {})
        assert db.value("SELECT count(*) FROM mail_switch") == on


def test_what_waits_when_mail_is_switched_off_is_not_sent(service: Service, db: Database) -> None:
    order = service.order(service.customer()["id"])
    db.sql("DELETE FROM mail_switch")
    work(service)
    assert [(mail["status"], mail["error"]) for mail in mails(service, order)] == [("failed", "Mail was switched off.")]
    assert sent() == []
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_seeding_sends_none(service: Service, db: Database) -> None:
    service.seed(customers=3, orders_per_customer=2)
    work(service)
    assert db.value("SELECT count(*) FROM mails") == 0


def test_the_mails_of_an_order_are_a_list_of_the_api(service: Service) -> None:
    order = service.order(service.customer()["id"], status="delivered")
    path = f"/api/orders/{order['id']}/mails/"
    first = service.http("GET", path, query={"limit": 3}).json
    second = service.http("GET", path, query={"limit": 3, "cursor": first["next_cursor"]}).json
    assert [len(page["results"]) for page in (first, second)] == [3, 1]
    assert (second["next"], {mail["status"] for mail in first["results"]}) == (None, {"queued"})
    assert service.http("GET", "/api/orders/999999/mails/").status == 404


class Killed(BaseException):
    """The process ends here."""


class Fates:
    """What becomes of each call, by chance; counted."""

    def __init__(self) -> None:
        self.chance = random.Random(10)
        self.fell: Counter[str] = Counter()

    def fall(self, place: str, **odds: int) -> str:
        fate = self.chance.choices(list(odds), list(odds.values()))[0]
        self.fell[f"{place} {fate}"] += 1
        return fate


class MortalReports:
    """The queue of reports. A call of it fails, or the sender's process ends before or after it."""

    def __init__(self, fates: Fates, accepted: dict[Any, Any]) -> None:
        self.fates, self.accepted = fates, accepted

    def send_message(self, **request: Any) -> None:
        fate = self.fates.fall("report", sent=12, failed=2, killed_before=1, killed_after=1, doubled=2)
        if fate == "killed_before":
            raise Killed
        if fate == "failed":
            raise OSError
        for _ in range(2 if fate == "doubled" else 1):
            queue_client().send_message(**request)
        if fate == "killed_after":
            # This one was reported.
            self.accepted.popitem()
            raise Killed


class MortalMessages:
    """The queue of mails. It loses a batch, or the relay's process ends before the call."""

    def __init__(self, fates: Fates) -> None:
        self.fates = fates

    def send_message_batch(self, **request: Any) -> Any:
        fate = self.fates.fall("relay", sent=4, lost=1, killed=1)
        if fate == "killed":
            raise Killed
        return {} if fate == "lost" else queue_client().send_message_batch(**request)


def send_or_die(service: Service, event: dict[str, Any], accepted: dict[Any, Any]) -> int:
    """How many mails SES had accepted, and nobody reported, when the sender was killed."""
    records = event["Records"]
    try:
        while records:
            failed = service.invoke("send_mail", {"Records": records})["batchItemFailures"]
            records = [one for one in records if {"itemIdentifier": one["messageId"]} in failed]
    except Killed:
        pass
    unreported = len(accepted)
    accepted.clear()
    # When SQS delivers them again they are too old, and the relay has composed them anew.
    delete(event, "mail")
    return unreported


@pytest.mark.slow
def test_each_event_is_told_once_unless_a_kill_fell_between_ses_and_the_report(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relays, senders and settlers die; messages are lost, and reports are lost and doubled."""
    customer = service.customer()["id"]
    for number in range(60):
        service.order(customer, status=("pending", "paid", "cancelled")[number % 3])
    events = db.value("SELECT count(*) FROM mails")
    sender, fates, unreported = service.module("send_mail"), Fates(), 0
    monkeypatch.setattr(sender, "sqs", lambda: MortalReports(fates, sender.accepted))
    monkeypatch.setattr(service.module("relay_outbox"), "sqs", lambda: MortalMessages(fates))
    while db.value("SELECT count(*) FROM mails WHERE status = 'queued'"):
        make_due(db)
        with suppress(Killed):
            service.invoke("relay_outbox", {}, LambdaContext(30))
        while event := receive("mail"):
            unreported += send_or_die(service, event, sender.accepted)
        while event := receive("mail_reports"):
            # Killed after its statement, so that SQS delivers the reports again.
            for _ in range(2 if fates.fall("settler", worked=5, killed=1) == "killed" else 1):
                service.invoke("settle_mail", event)
            delete(event, "mail_reports")
    told = Counter(message["Message-ID"] for message in sent())
    print(f"{events} events, {told.total()} mails; {dict(fates.fell)}")
    assert db.sql("SELECT status, count(*) FROM mails GROUP BY status") == [["sent", events]]
    assert len(told) == events
    assert told.total() - events == unreported > 0
    assert min(fates.fell.values()) > 0


def test_a_mail_that_could_not_be_reported_is_not_sent_again(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = service.order(service.customer()["id"])
    service.relay()
    event = take()
    with monkeypatch.context() as down:
        down.setenv("MAIL_REPORTS_QUEUE_URL", "http://127.0.0.1:1/nowhere")
        assert len(service.invoke("send_mail", event)["batchItemFailures"]) == 1
    assert service.invoke("send_mail", event) == {"batchItemFailures": []}
    service.work_off_queue("settle_mail")
    assert [mail["status"] for mail in mails(service, order)] == ["sent"]
    assert len(sent()) == 1


def test_a_message_that_was_on_its_way_for_too_long_is_not_sent(service: Service, db: Database) -> None:
    """The relay has composed it anew by then, and its customer may have been erased."""
    service.order(service.customer()["id"])
    service.relay()
    event = take()
    [record] = event["Records"]
    message = json.loads(record["body"])
    late = {**record, "body": json.dumps({**message, "until": message["until"] - compose_mails.SECONDS_TO_SEND - 1})}
    assert service.invoke("send_mail", {"Records": [late]}) == {"batchItemFailures": []}
    assert sent() == []
    assert db.value("SELECT due_at > now() + interval '14 minutes' FROM outbox")


def test_a_sender_that_runs_out_of_time_leaves_the_rest_to_the_next(service: Service) -> None:
    service.order(service.customer()["id"])
    service.relay()
    event = take()
    assert len(service.invoke("send_mail", event, LambdaContext(10))["batchItemFailures"]) == 1
    assert sent() == []


def test_only_so_many_are_on_their_way_and_the_others_wait_outside_of_the_outbox(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_mails, "MOST_ON_THEIR_WAY", 3)
    customer = service.customer()["id"]
    orders = [service.order(customer)["id"] for _ in range(8)]
    for expected in (3, 6, 8):
        service.relay()
        assert db.value("SELECT count(*) FROM outbox") == expected - len(sent())
        work(service)
        assert [int(str(message["Subject"]).rpartition("#")[2]) for message in sent()] == orders[:expected]
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_composing_reads_the_orders_that_it_is_about_and_no_others(service: Service, db: Database) -> None:
    service.seed(customers=2000, orders_per_customer=5)
    db.sql(
        "INSERT INTO mails (event_id, order_id, customer_id, type, status, admitted)"
        " SELECT -id, id, customer_id, 'order.paid', 'sent', true FROM orders"
    )
    customer = service.customer()["id"]
    for _ in range(20):
        service.order(customer)
    db.sql("ANALYZE")
    db.sql("BEGIN")
    before = db.rows_scanned()
    db.sql(compose_mails.ADMIT, seconds=120, most=100)
    ids = [row[0] for row in db.sql("SELECT id FROM outbox")]
    rows = db.sql(compose_mails.COMPOSE, ids=ids, seconds=120, lease=900, hours=24)
    after = db.rows_scanned()
    db.sql("ROLLBACK")
    large = ("mails", "orders", "order_items", "customers")
    assert (len(rows), [after[table] for table in large]) == (20, [before[table] for table in large])


class Ses(ThreadingHTTPServer):
    """Speaks SES's protocol, and refuses: moto accepts everything from a sender that it knows."""

    daemon_threads = True

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(("127.0.0.1", 0), Refusal)
        self.status, self.error, self.message = status, error, message
        self.calls = 0


class Refusal(BaseHTTPRequestHandler):
    server: Ses

    def do_POST(self) -> None:
        self.server.calls += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"message": self.server.message}).encode()
        self.send_response(self.server.status)
        self.send_header("x-amzn-ErrorType", self.server.error)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The test says what it saw."""


@contextmanager
def refusing(service: Service, monkeypatch: pytest.MonkeyPatch, status: int, error: str, message: str) -> Iterator[Ses]:
    with Ses(status, error, message) as server, monkeypatch.context() as patch:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        to_ses(service, patch, f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
    service.module("send_mail").ses.cache_clear()


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "TooManyRequestsException"), (400, "SendingPausedException"), (400, "AccountSuspendedException"), (500, "Oops")],
)
def test_what_passes_is_tried_again_with_growing_pauses(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, status: int, error: str
) -> None:
    order = service.order(service.customer()["id"])
    with refusing(service, monkeypatch, status, error, "Later") as server:
        for pause in (5, 15, 60):
            began = db.value("SELECT now()")
            work(service)
            due = "SELECT extract(epoch FROM due_at - :began)::float8, extract(epoch FROM due_at - now())::float8 FROM outbox"
            [[most, least]] = db.sql(due, began=began)
            assert (0.8 * pause <= most, least <= 1.2 * pause) == (True, True), (most, least)
            make_due(db)
        assert server.calls == 3
    [mail] = mails(service, order)
    assert (mail["status"], mail["attempts"], mail["error"]) == ("queued", 3, f"SES answered {error}: Later")
    work(service)
    [mail] = mails(service, order)
    assert (mail["status"], mail["attempts"], mail["error"]) == ("sent", 4, None)
    assert len(sent()) == 1


def test_a_domain_that_ses_has_not_verified_yet_costs_no_mail(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = service.order(service.customer()["id"])
    text = "Email address is not verified. The following identities failed the check in region EU: shop@shop.example.com"
    with refusing(service, monkeypatch, 400, "MessageRejected", text):
        work(service)
    assert mails(service, order)[0]["status"] == "queued"


def test_a_ses_that_cannot_be_reached_loses_nothing(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    order = service.order(service.customer()["id"])
    with monkeypatch.context() as down:
        to_ses(service, down, "http://127.0.0.1:1")
        work(service)
    service.module("send_mail").ses.cache_clear()
    assert mails(service, order)[0]["error"] == "No answer from SES: EndpointConnectionError"
    make_due(db)
    work(service)
    assert mails(service, order)[0]["status"] == "sent"


def test_it_is_given_up_after_a_day(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    order = service.order(service.customer()["id"])
    with refusing(service, monkeypatch, 429, "TooManyRequestsException", "Maximum sending rate exceeded."):
        work(service)
        db.sql("UPDATE mails SET created_at = now() - interval '25 hours'")
        make_due(db)
        work(service)
    [mail] = mails(service, order)
    reason = "SES answered TooManyRequestsException: Maximum sending rate exceeded."
    assert (mail["status"], mail["error"]) == ("failed", reason)
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_a_mail_that_ses_rejects_is_failed_and_the_reason_names_no_address(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = service.order(service.customer("private@example.com")["id"])
    text = "Address failed validation: Private <private@example.com>"
    with refusing(service, monkeypatch, 400, "MessageRejected", text) as server:
        work(service)
        assert server.calls == 1
    [mail] = mails(service, order)
    assert (mail["status"], mail["attempts"]) == ("failed", 1)
    assert mail["error"] == "SES answered MessageRejected: " + text.replace("private@example.com", "…")
    assert db.value("SELECT count(*) FROM outbox") == 0
    output = capsys.readouterr().out
    assert '"MailsUnsent":[1' in output
    assert "private@" not in output


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x.png>',
    "{{ 7 * 7 }} {% raw %} &amp;",
    "Bcc: all@example.com",
    "Zoë Nguyễn 🧑‍💻",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_or_reference_is_text_and_nothing_else(service: Service, name: str) -> None:
    customer = service.customer(name=name)
    reference = re.sub(r"[\s\u200d]", "_", name)
    item = {"sku": name[:64], "quantity": 1, "unit_price_cents": 1}
    service.http("POST", "/api/orders/", {"customer_id": customer["id"], "reference": reference, "items": [item]})
    work(service)
    [message] = sent()
    text, html = parts(message)
    assert f"Hello {name}," in text.splitlines()
    assert message["Subject"] == f"We have received your order {reference}"
    assert escape(name) in html
    assert set(re.findall(r"<(\w+)", html)) <= TAGS
    assert (message["To"], message["Bcc"]) == ("alice@example.com", None)


TAGS = {"html", "head", "meta", "title", "body", "p", "bdi", "table", "thead", "tbody", "tfoot", "tr", "th", "td"}


def test_what_the_contract_refuses_is_harmless_where_sql_wrote_it(service: Service, db: Database) -> None:
    customer = service.customer()
    order = service.order(customer["id"])
    evil = "Eve\r\nBcc: all@example.com\r\n\r\n\u202egnihtemos\u2066\u2028x\x07"
    db.sql("UPDATE customers SET name = :evil", evil=evil)
    db.sql("UPDATE orders SET reference = :evil", evil=evil)
    work(service)
    [message] = sent()
    flat = "Eve Bcc: all@example.com gnihtemos x"
    assert message["Subject"] == f"We have received your order {flat}"
    assert message["Bcc"] is None
    text, html = parts(message)
    for shown in (text, html):
        assert flat in shown
        assert not set(shown) & set("\u202e\u2066\u2028\x07")
    assert mails(service, order)[0]["status"] == "sent"


def test_a_name_that_runs_leftward_does_not_turn_the_text_around_it() -> None:
    assert clean("שלום") == "\u2068שלום\u2069"
    assert clean("\u202eשלום\u202c") == "\u2068שלום\u2069"
    assert clean("Alice") == "Alice"
    assert clean("می\u200cخواهم") == "\u2068می\u200cخواهم\u2069"


@pytest.mark.parametrize(
    ("local", "written"),
    [
        ("a,b", '"a,b"'),
        ('a"b', '"a\\"b"'),
        ("<x>", '"<x>"'),
        ("a:b;c", '"a:b;c"'),
        ("o'neil+tag", "o'neil+tag"),
    ],
)
def test_an_address_is_one_address_whatever_stands_before_its_at_sign(service: Service, local: str, written: str) -> None:
    service.order(service.customer(f"{local}@example.com")["id"])
    work(service)
    [message] = sent()
    assert [(one.username, one.domain) for one in message["To"].addresses] == [(local, "example.com")]
    assert set(backend().sent_messages[0].destinations) == {f"{written}@example.com"}


@pytest.mark.parametrize(
    "address",
    [
        "ä@example.com\nBcc: b@example.com",
        "a@example.com,b.example",
        "a@example.com:b.example;",
        "a@example.<b>",
        ("a,<b>;" * 11)[:65] + "@example.com",
    ],
)
def test_an_address_that_no_mail_can_be_written_to_fails_and_says_so(service: Service, db: Database, address: str) -> None:
    """The contract takes all but the first, and no worker may fail on them again and again."""
    order = service.order(service.customer()["id"])
    db.sql("UPDATE customers SET email = :address", address=address)
    work(service)
    assert [(mail["status"], mail["error"]) for mail in mails(service, order)] == [
        ("failed", "No mail can be written to this address.")
    ]
    assert sent() == []


def test_money_is_exact() -> None:
    assert [money(cents) for cents in (0, 5, 100, 123_456, 2**53 - 1)] == [
        "0.00", "0.05", "1.00", "1,234.56", "90,071,992,547,409.91",
    ]  # fmt: skip


def test_an_address_whose_mail_bounces_gets_no_more(service: Service, db: Database) -> None:
    customer = service.customer("Gone@example.com")
    order = service.order(customer["id"])
    work(service)
    feedback(service, mails(service, order)[0], "Bounce", bounceType="Permanent", bounceSubType="General")
    [bounced] = mails(service, order)
    assert (bounced["status"], bounced["error"]) == ("bounced", "It could not be delivered: Permanent, General.")
    service.act(order["id"], "pay")
    work(service)
    last_mail = mails(service, order)[-1]
    assert (last_mail["status"], last_mail["error"]) == ("suppressed", "Mail to this address has bounced.")
    assert (len(sent()), last_mail["attempts"]) == (1, 0)
    # Another address of the same customer is another matter.
    service.http("PATCH", f"/api/customers/{customer['id']}/", {"email": "here@example.com"})
    service.act(order["id"], "ship")
    work(service)
    assert sent()[-1]["To"] == "here@example.com"
    service.http("PATCH", f"/api/customers/{customer['id']}/", {"email": "gone@EXAMPLE.com"})
    service.act(order["id"], "deliver")
    work(service)
    assert mails(service, order)[-1]["status"] == "suppressed"


@pytest.mark.parametrize(
    ("kind", "details", "status", "suppressed"),
    [
        ("Bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}, "bounced", False),
        ("Complaint", {"complaintFeedbackType": "abuse"}, "complained", True),
        ("Complaint", {}, "complained", True),
        ("Complaint", {"complaintFeedbackType": "not-spam"}, "sent", False),
        ("Reject", {"reason": "Bad content"}, "failed", False),
        ("Delivery", {"recipients": ["alice@example.com"]}, "sent", False),
    ],
)
def test_what_ses_tells_later_stands_in_the_list(
    service: Service, db: Database, kind: str, details: dict[str, Any], status: str, suppressed: bool
) -> None:
    order = service.order(service.customer()["id"])
    work(service)
    for _ in range(2):
        feedback(service, mails(service, order)[0], kind, **details)
    assert mails(service, order)[0]["status"] == status
    service.act(order["id"], "pay")
    work(service)
    assert mails(service, order)[1]["status"] == ("suppressed" if suppressed else "sent")
    assert len(sent()) == (1 if suppressed else 2)


def test_a_bounce_may_come_before_the_senders_report(service: Service, db: Database) -> None:
    order = service.order(service.customer()["id"])
    service.work_off_queue("send_mail")
    [mail] = mails(service, order)
    feedback(service, mail, "Bounce", bounceType="Permanent", bounceSubType="OnAccountSuppressionList")
    work(service)
    assert [(each["status"], each["attempts"], each["message_id"]) for each in mails(service, order)] == [
        ("bounced", 1, "from-ses")
    ]
    make_due(db)
    work(service)
    assert db.value("SELECT count(*) FROM outbox") == 0
    assert len(sent()) == 1


def test_a_complaint_outlasts_a_bounce(service: Service) -> None:
    order = service.order(service.customer()["id"])
    work(service)
    feedback(service, mails(service, order)[0], "Bounce", bounceType="Transient", bounceSubType="General")
    feedback(service, mails(service, order)[0], "Complaint")
    feedback(service, mails(service, order)[0], "Bounce", bounceType="Transient", bounceSubType="General")
    assert mails(service, order)[0]["status"] == "complained"


def test_a_customer_that_was_erased_meanwhile_gets_none(service: Service, db: Database) -> None:
    customer = service.customer("private@example.com", "Private Person")
    order = service.order(customer["id"])
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    service.act(order["id"], "pay")
    work(service)
    assert {(mail["status"], mail["error"]) for mail in mails(service, order)} == {("failed", "The customer was erased.")}
    assert sent() == []
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_a_mail_of_an_order_that_is_gone_is_not_sent(service: Service, db: Database) -> None:
    service.order(service.customer()["id"])
    db.sql("DELETE FROM order_items; DELETE FROM orders; DELETE FROM customers")
    work(service)
    assert db.sql("SELECT status, error FROM mails") == [["failed", "The order is gone."]]
    assert sent() == []


def test_an_erasure_forgets_that_mail_was_suppressed_and_none_is_remembered_afterwards(service: Service, db: Database) -> None:
    customer = service.customer("private@example.com")
    order = service.order(customer["id"], status="paid")
    work(service)
    first, second = mails(service, order)
    feedback(service, first, "Complaint")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 1
    assert "private" not in str(db.sql("SELECT * FROM mail_suppressions, mails"))
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 0
    feedback(service, second, "Bounce", bounceType="Permanent", bounceSubType="General")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 0
    assert mails(service, order)[1]["status"] == "bounced"


def test_an_erasure_forgets_an_address_that_another_customer_had_when_it_bounced(service: Service, db: Database) -> None:
    former = service.customer("private@example.com")
    order = service.order(former["id"])
    work(service)
    feedback(service, mails(service, order)[0], "Bounce", bounceType="Permanent", bounceSubType="General")
    service.http("PATCH", f"/api/customers/{former['id']}/", {"email": "other@example.com"})
    customer = service.customer("Private@example.com")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 1
    service.http("POST", f"/api/customers/{customer['id']}/erase/")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 0


def test_feedback_about_other_mails_of_the_account_is_left_alone(service: Service, db: Database) -> None:
    event = {
        "eventType": "Bounce",
        "mail": {"messageId": "m"},
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General"},
    }
    queue_client().send_message(QueueUrl=os.environ["MAIL_FEEDBACK_QUEUE_URL"], MessageBody=json.dumps(event))
    service.work_off_queue("record_mail_feedback")
    assert db.value("SELECT count(*) FROM mail_suppressions") == 0


def test_what_ses_publishes_to_try_the_topic_is_no_dead_letter(service: Service, db: Database) -> None:
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    boto3.client("sqs").send_message(QueueUrl=os.environ["MAIL_FEEDBACK_QUEUE_URL"], MessageBody=text)
    service.work_off_queue("record_mail_feedback")


def test_a_mail_knows_the_types_that_the_database_announces(service: Service, db: Database) -> None:
    announced = set(re.findall(r"'(order\.\w+)'", db.value("SELECT prosrc FROM pg_proc WHERE proname = 'announce_by_mail'")))
    assert announced == set(get_args(MailType)) == set(service.module("send_mail").mails().texts)
