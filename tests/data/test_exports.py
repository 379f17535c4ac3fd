"""Exports: exactly what the lists show, whole and once, whoever is killed."""

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config

from drill.servers import wait_until
from orders import database
from orders.connection import Connection
from orders.exports import KINDS, presigned_link
from tests.harness import (
    ROLE_PASSWORD,
    Answer,
    Clients,
    Database,
    LambdaContext,
    Service,
    assert_problem,
    created,
    delete,
    receive,
)

# Ranges of ids are as many as ids.
FROM_ONE = "ALTER TABLE orders ALTER id RESTART"
ITEM = {"sku": "=SKU", "quantity": 2, "unit_price_cents": 150}


@pytest.fixture(autouse=True)
def _no_messages(service: Service) -> None:
    while event := receive("exporting"):
        delete(event, "exporting")


def start(service: Service, kind: str = "orders", form: str = "jsonl", **filters: Any) -> Answer:
    return service.http("POST", "/api/exports/", {"kind": kind, "format": form, "filters": filters})


def finished(service: Service, answer: Answer) -> dict[str, Any]:
    """The export, once all of its messages have been worked off."""
    assert answer.status == 202, answer.text
    while service.relay():
        while event := receive("exporting"):
            assert service.invoke("run_export", event) == {"batchItemFailures": []}
            delete(event, "exporting")
    document: dict[str, Any] = service.http("GET", answer.headers["location"]).json
    return document


def content(export: dict[str, Any]) -> str:
    with urlopen(export["url"]) as answer:
        data = answer.read()
    assert len(data) == export["bytes"]
    return gzip.decompress(data).decode()


def has_file(export: dict[str, Any]) -> bool:
    key = f"{export['id']}.{export['format']}.gz"
    files = boto3.client("s3").list_objects_v2(Bucket=os.environ["EXPORTS_BUCKET"], Prefix=export["id"])
    return [file["Key"] for file in files.get("Contents", [])] == [key]


def spreadsheet(text: str | None) -> str:
    return "" if text is None else f"'{text}" if text.startswith("=") else text


def exported(service: Service, kind: str = "orders", **filters: Any) -> list[Any]:
    export = finished(service, start(service, kind, **filters))
    lines = [json.loads(line) for line in content(export).splitlines()]
    assert (export["status"], export["rows"], export["progress"]) == ("succeeded", len(lines), 100)
    return lines


def listed(service: Service, path: str, **filters: Any) -> list[Any]:
    """A walk through all pages of a list."""
    query, found = {"limit": 7, **filters}, []
    while query is not None:
        page = service.http("GET", path, query=query).json
        found += page["results"]
        query = {**query, "cursor": page["next_cursor"]} if page["next"] else None  # type: ignore[assignment]
    return found


@pytest.fixture
def varied(service: Service, db: Database) -> None:
    db.sql(FROM_ONE)
    service.seed(customers=40, orders_per_customer=3, items_per_order=2)
    buyer = service.customer("100%@example.com", 'Zoë "Ö" \\ , Ng')["id"]
    service.order(buyer, (2, 150), status="paid")
    about = {"reference": "=PO'1", "metadata": {"note": 'a "quoted", =1+1'}}
    created(service.http("POST", "/api/orders/", {"customer_id": buyer, "items": [ITEM, ITEM], **about}))
    service.customer("no_orders@example.com", "O'Hara 🙂")


FILTERS: list[tuple[str, str, dict[str, Any]]] = [
    ("orders", "/api/orders/", {}),
    ("orders", "/api/orders/", {"status": "paid"}),
    ("orders", "/api/orders/", {"email": "ALICE"}),
    ("orders", "/api/orders/", {"email": "100%@"}),
    ("orders", "/api/orders/", {"email": "'"}),
    ("orders", "/api/orders/", {"status": "cancelled", "email": "example"}),
    ("orders", "/api/orders/", {"email": "e\u212a"}),
    ("orders", "/api/orders/", {"reference": "=PO'1"}),
    ("orders", "/api/orders/", {"reference": "=PO'1", "status": "paid"}),
    ("customers", "/api/customers/", {}),
    ("customers", "/api/customers/", {"email": "No_Orders"}),
    ("events", "/api/events/", {}),
    ("events", "/api/events/", {"type": "customer.created"}),
]


@pytest.mark.parametrize(("kind", "path", "filters"), FILTERS)
def test_an_export_is_what_a_walk_through_the_list_shows(
    service: Service, varied: None, kind: str, path: str, filters: dict[str, Any]
) -> None:
    assert exported(service, kind, **filters) == listed(service, path, **filters)


def test_orders_of_one_customer_and_the_summary_are_what_the_lists_show(service: Service, varied: None, db: Database) -> None:
    customer = db.value("SELECT customer_id FROM orders ORDER BY id LIMIT 1")
    assert exported(service, customer_id=customer) == listed(service, "/api/orders/", customer_id=customer) != []
    by_customer = sorted(listed(service, "/api/orders/summary/"), key=lambda row: -row["customer_id"])
    assert exported(service, "summary") == by_customer


def test_events_of_one_order_and_one_customer_are_those_of_the_feed(service: Service, varied: None, db: Database) -> None:
    [order, customer] = db.sql("SELECT id, customer_id FROM orders ORDER BY id DESC LIMIT 1")[0]
    for name, value in {"order_id": order, "customer_id": customer}.items():
        assert exported(service, "events", **{name: value}) == listed(service, "/api/events/", **{name: value}) != []


@pytest.mark.parametrize(
    ("kind", "path"), [("orders", "/api/orders/"), ("customers", "/api/customers/"), ("events", "/api/events/")]
)
def test_ids_that_belong_to_no_row_take_no_time(service: Service, db: Database, kind: str, path: str) -> None:
    """As after a restore, twice."""
    db.sql(FROM_ONE)
    service.order(service.customer("a@example.com")["id"])
    for gap in (3_000_000_000, 5_000_000_000):
        for table in ("orders", "customers", "events"):
            db.sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {gap})")
        service.order(service.customer(f"{gap}@example.com")["id"])
    copies = Counter[str]()
    copy = Connection.copy

    def counted(connection: Connection, sql: str, *rest: Any) -> int:
        copies[kind] += 1
        return copy(connection, sql, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Connection, "copy", counted)
        assert exported(service, kind) == listed(service, path)
    # The ranges begin with 2,000 ids and grow. Each gap is crossed by one look.
    assert copies[kind] <= 6
    db.sql(";".join(f"ALTER TABLE {table} ALTER id RESTART" for table in ("orders", "customers", "events")))


def test_an_event_that_the_feed_does_not_show_yet_is_not_exported(service: Service, db: Database) -> None:
    running = db.server.connect()
    running.run("BEGIN; SELECT pg_current_xact_id()")
    customer = service.customer()["id"]
    assert exported(service, "events") == listed(service, "/api/events/") == []
    running.run("COMMIT")
    running.close()
    assert [event["customer_id"] for event in exported(service, "events")] == [customer]


def test_items_are_those_of_the_listed_orders(service: Service, varied: None) -> None:
    orders = listed(service, "/api/orders/", status="paid")
    about = [(order, item) for order in orders for item in order["items"]]
    assert exported(service, "items", status="paid") == [
        {**item, "order_id": order["id"], "order_status": "paid", "customer_id": order["customer"]["id"]}
        for order, item in about
    ]


LISTS = [("orders", "/api/orders/"), ("customers", "/api/customers/"), ("events", "/api/events/")]


@pytest.mark.parametrize(("kind", "path"), LISTS)
def test_csv_has_a_heading_and_a_row_for_each(service: Service, varied: None, kind: str, path: str) -> None:
    rows = list(csv.DictReader(io.StringIO(content(finished(service, start(service, kind, "csv"))))))
    documents = listed(service, path)
    assert [row["id"] for row in rows] == [str(document["id"]) for document in documents]
    for name in ("created_at", "at", "request_id", "reference", "type"):
        if name in documents[0]:
            assert [row[name] for row in rows] == [spreadsheet(document[name]) for document in documents]
    for name in ("metadata", "changes"):
        if name in documents[0]:
            assert [json.loads(row[name]) for row in rows] == [document[name] for document in documents]
    if kind == "orders":
        assert [row["customer_name"] for row in rows] == [document["customer"]["name"] for document in documents]
        assert [row["total_cents"] for row in rows] == [str(document["total_cents"]) for document in documents]


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_of_nothing_is_a_file(service: Service, db: Database, kind: str) -> None:
    assert exported(service, kind) == []
    assert content(finished(service, start(service, kind, "csv"))).count("\n") == 1


@pytest.mark.parametrize("name", ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "＝1", "\tx", "\rx"])
def test_no_cell_is_a_formula(service: Service, db: Database, name: str) -> None:
    customer = service.customer("-x=1@example.com")["id"]
    db.sql("UPDATE customers SET name = :name WHERE id = :id", name=name, id=customer)
    [row] = csv.DictReader(io.StringIO(content(finished(service, start(service, "customers", "csv"))), newline=""))
    assert (row["name"], row["email"]) == (f"'{name}", "'-x=1@example.com")


def test_a_filter_of_another_list_is_refused(service: Service, db: Database) -> None:
    assert_problem(start(service, "customers", status="paid"), 422, "filters.status")
    assert_problem(start(service, "summary", email="x"), 422, "filters.email")
    assert_problem(start(service, "orders", status="lost"), 422, "filters.status")
    assert_problem(start(service, "events", type="order.lost"), 422, "filters.type")
    assert_problem(start(service, "carts"), 422, "kind")
    assert db.value("SELECT count(*) FROM exports") == 0


def test_no_more_than_five_are_unfinished(clients: Clients, service: Service, db: Database) -> None:
    body = {"kind": "orders", "format": "csv"}
    answers = clients.http([(("POST", "/api/exports/", body), {}) for _ in range(16)])
    assert sorted(answer.status for answer in answers) == [202] * 5 + [409] * 11
    service.http("DELETE", next(answer.headers["location"] for answer in answers if answer.status == 202))
    assert start(service).status == 202


def test_a_key_starts_one_export(service: Service, db: Database) -> None:
    body, key = {"kind": "orders", "format": "csv"}, {"Idempotency-Key": "k"}
    first, second = (service.http("POST", "/api/exports/", body, headers=key) for _ in range(2))
    assert first.json == second.json
    assert db.value("SELECT count(*) FROM exports") == db.value("SELECT count(*) FROM outbox") == 1


def test_a_cancelled_export_is_not_made_and_a_removed_one_has_no_file(service: Service, varied: None) -> None:
    begun = start(service)
    path = begun.headers["location"]
    assert service.http("DELETE", path).status == 204
    assert (finished(service, begun)["status"], service.http("GET", path).json["url"]) == ("cancelled", None)
    done = start(service)
    export = finished(service, done)
    assert service.http("DELETE", done.headers["location"]).status == 204
    service.work_off_queue("run_export")
    assert_problem(service.http("GET", done.headers["location"]), 404)
    assert not has_file(export)


@pytest.mark.parametrize("end", ["cancel", "erase", "fail", "finish"])
def test_an_export_that_has_ended_keeps_no_rows(service: Service, varied: None, db: Database, end: str) -> None:
    """What was too small for a part lies in the table meanwhile, where no erasure looks for it later."""
    path = start(service).headers["location"]
    db.sql("UPDATE exports SET tail = 'rows'")
    if end == "cancel":
        service.http("DELETE", path)
    elif end == "erase":
        service.http("POST", f"/api/customers/{service.customer()['id']}/erase/")
    elif end == "fail":
        db.sql("UPDATE exports SET created_at = now() - interval '25 hours'")
        service.invoke("audit_totals", {})
    else:
        service.work_off_queue("run_export")
    ended = {"cancel": "cancelled", "erase": "failed", "fail": "failed", "finish": "succeeded"}[end]
    assert db.sql("SELECT status, tail FROM exports") == [[ended, None]]


def test_the_list_shows_exports_newest_first_without_links(service: Service, db: Database) -> None:
    ids = [start(service).json["id"] for _ in range(3)]
    assert [export["id"] for export in listed(service, "/api/exports/")] == ids[::-1]


def test_an_expired_export_has_no_link(service: Service, db: Database) -> None:
    answer = start(service)
    finished(service, answer)
    db.sql("UPDATE exports SET expires_at = now()")
    export = service.http("GET", answer.headers["location"]).json
    assert (export["status"], export["url"]) == ("expired", None)


def test_an_export_over_several_invocations_is_whole_and_says_so(
    service: Service, varied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each invocation copies one range, and leaves less than a part behind."""
    service.module("run_export")
    import exporting  # noqa: PLC0415 - stands in the worker's folder

    monkeypatch.setattr(exporting, "FIRST_RANGE", 20)

    class Clock(LambdaContext):
        def get_remaining_time_in_millis(self) -> int:
            self.milliseconds -= 20_000
            return self.milliseconds

    answer = start(service)
    invocations = 0
    while service.relay():
        while event := receive("exporting"):
            assert service.invoke("run_export", event, Clock(75)) == {"batchItemFailures": []}
            delete(event, "exporting")
            invocations += 1
    export = service.http("GET", answer.headers["location"]).json
    lines = [json.loads(line) for line in content(export).splitlines()]
    assert (export["status"], export["consistent"], invocations > 3) == ("succeeded", False, True)
    assert lines == listed(service, "/api/orders/")


def test_an_export_needs_the_scope_of_its_list_as_well(service: Service, db: Database) -> None:
    body = {"kind": "customers", "format": "csv"}
    only = "exports/write orders/read"
    assert_problem(service.http("POST", "/api/exports/", body, scope=only), 403)
    # A list of scopes in a token arrives like this.
    begun = service.http("POST", "/api/exports/", body, scope="[exports/write customers/read]")
    finished(service, begun)
    assert_problem(service.http("GET", begun.headers["location"], scope=only), 403)
    assert service.http("GET", begun.headers["location"], scope=f"{only} customers/read").json["url"]
    assert_problem(service.http("DELETE", begun.headers["location"], scope=only), 403)
    for scope, number in ((only, 0), ("exports/write customers/read", 1)):
        assert len(service.http("GET", "/api/exports/", scope=scope).json["results"]) == number
    running = service.http("POST", "/api/exports/", body)
    assert_problem(service.http("DELETE", running.headers["location"], scope=only), 403)
    assert service.http("GET", running.headers["location"]).json["status"] == "queued"


def test_a_link_is_the_one_that_awss_library_makes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/+=")
    config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
    expected = (
        boto3.Session()
        .client("s3", config=config)
        .generate_presigned_url(
            "get_object",
            Params={"Bucket": "b-1", "Key": "k.gz", "ResponseContentDisposition": 'attachment; filename="o.gz"'},
            ExpiresIn=600,
        )
    )
    [moment] = parse_qs(urlsplit(expected).query)["X-Amz-Date"]
    link = presigned_link("b-1", "k.gz", "o.gz", datetime.strptime(moment, "%Y%m%dT%H%M%S%z"))
    assert (urlsplit(link)[:3], parse_qs(urlsplit(link).query)) == (urlsplit(expected)[:3], parse_qs(urlsplit(expected).query))


def test_a_file_that_may_hold_an_erased_customer_is_removed(service: Service, varied: None, db: Database) -> None:
    erased, other = service.customer("very.private@example.com", "Very Private")["id"], service.customer("b@example.com")["id"]
    kept = [("items", {}), ("orders", {"customer_id": other})]
    gone = [
        *((kind, {}) for kind in KINDS if kind != "items"),
        ("orders", {"customer_id": erased}),
        ("customers", {"email": "Y.P"}),
    ]
    begun: dict[bool, list[Answer]] = {False: [], True: []}
    for kind, filters in (*kept, *gone):
        begun[(kind, filters) in gone].append(start(service, kind, **filters))
        finished(service, begun[(kind, filters) in gone][-1])
    key = {"Idempotency-Key": "k"}
    body = {"kind": "items", "format": "csv", "filters": {"email": "very.private"}}
    unfinished = [start(service), service.http("POST", "/api/exports/", body, headers=key)]
    assert service.http("POST", f"/api/customers/{erased}/erase/").status == 200
    service.work_off_queue("run_export")

    def now(answers: list[Answer]) -> list[dict[str, Any]]:
        return [service.http("GET", answer.headers["location"]).json for answer in answers]

    assert [(export["status"], has_file(export)) for export in now(begun[False])] == [("succeeded", True)] * len(kept)
    assert [(export["status"], has_file(export)) for export in now(begun[True])] == [("expired", False)] * len(gone)
    assert [(export["status"], has_file(export)) for export in now(unfinished)] == [("failed", False)] * 2
    assert all("erased" in export["error"] for export in now([*begun[True], *unfinished]))
    assert db.value("SELECT count(*) FROM exports WHERE filters::text ILIKE '%y.p%'") == 0
    assert db.value("SELECT count(*) FROM idempotency_keys WHERE body ILIKE '%very.private%'") == 0
    assert service.http("POST", "/api/exports/", body, headers=key).json["filters"] == {"email": "erased"}


def test_an_erasure_reaches_the_file_of_a_worker_that_does_not_notice(
    service: Service, varied: None, db: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.module("run_export")
    import uploads  # noqa: PLC0415 - stands in the worker's folder

    begun, real = start(service), uploads.s3()
    customer = db.value("SELECT max(id) FROM customers")

    class LateS3:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def complete_multipart_upload(self, **options: Any) -> None:
            [erased] = clients.http([(("POST", f"/api/customers/{customer}/erase/"), {})])
            assert erased.status == 200
            # The first removal has come and found nothing.
            db.sql("DELETE FROM outbox WHERE body ? 'remove' AND due_at <= now()")
            real.complete_multipart_upload(**options)

    monkeypatch.setattr(uploads, "s3", LateS3)
    export = finished(service, begun)
    assert (export["status"], has_file(export)) == ("failed", True)
    db.sql("UPDATE outbox SET due_at = due_at - interval '2 minutes'")
    service.work_off_queue("run_export")
    assert not has_file(export)


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_an_export_that_starts_during_an_erasure_waits_for_it(service: Service, clients: Clients, db: Database) -> None:
    customer = service.customer("very.private@example.com")["id"]
    erasing = db.server.connect()
    erasing.run("BEGIN")
    erasing.run("SELECT forget_customer(:id)", id=customer)
    starting = clients.submit((("POST", "/api/exports/", {"kind": "customers", "format": "csv"}), {}))
    wait_until(lambda: db.value(WAITING) == 1, "a wait for the erasure")
    erasing.run("UPDATE customers SET email = erased_email(id) WHERE id = :id", id=customer)
    assert not starting.done()
    erasing.run("COMMIT")
    erasing.close()
    assert "very.private" not in content(finished(service, starting.result()))


def test_an_export_that_ends_while_somebody_deletes_it_is_deleted(service: Service, clients: Clients, db: Database) -> None:
    path = start(service).headers["location"]
    ending = db.server.connect()
    ending.run("BEGIN")
    ending.run("UPDATE exports SET status = 'failed', finished_at = now()")
    deleting = clients.submit((("DELETE", path), {}))
    wait_until(lambda: db.value(WAITING) == 1, "a wait for its end")
    ending.run("COMMIT")
    ending.close()
    assert deleting.result().status == 204
    assert_problem(service.http("GET", path), 404)


def test_only_an_export_that_is_given_up_is_reported_as_failed(
    service: Service, db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not the removal of a file: its row stays, and it is tried again."""
    export = start(service).json["id"]
    outbox = db.value("SELECT id FROM outbox")
    reported = []
    for message in ({"remove": "x.csv.gz", "upload": None, "outbox": outbox}, {"export": export, "outbox": outbox}):
        with service.role("orders_exporter"):
            service.module("run_export").give_up(message, "failed 5 times.")
        reported.append(('"ExportFailed":[1.0]' in capsys.readouterr().out, db.value("SELECT count(*) FROM outbox")))
    assert reported == [(False, 1), (True, 0)]
    assert service.http("GET", f"/api/exports/{export}/").json["error"] == "It failed 5 times."


def test_the_audit_gives_up_what_was_never_finished_and_clears_away_what_is_old(service: Service, db: Database) -> None:
    answers = [start(service) for _ in range(3)]
    finished(service, answers[0])
    for answer, hours in zip(answers[1:], (23, 25), strict=True):
        age = "UPDATE exports SET status = 'running', created_at = now() - make_interval(hours => :hours) WHERE id = :id"
        db.sql(age, hours=hours, id=answer.json["id"])
    audited = service.invoke("audit_totals", {})
    assert (audited["failed_exports"], audited["purged_exports"]) == (1, 0)
    db.sql("UPDATE exports SET finished_at = finished_at - interval '31 days' WHERE status = 'succeeded'")
    assert service.invoke("audit_totals", {})["purged_exports"] == 1
    assert [service.http("GET", answer.headers["location"]).status for answer in answers] == [404, 200, 200]


# What one row is of: it does not compress to much less than half.
LARGE_EVENTS = """
INSERT INTO events (customer_id, sequence, type, request_id, changes)
SELECT 1, n, 'customer.updated', 'r', json_build_object(
    'name', (SELECT string_agg(md5(n || '-' || m), '') FROM generate_series(1, 300) AS m)
)
FROM generate_series(:first::bigint, :last::bigint) AS n
"""
# A worker in a process of its own, which then says its peak of memory. The process's getrusage would tell its parent's.
WORKER = """
import json, re, sys

sys.path.insert(0, "functions/run_export")
import exporting
import handler
import uploads

# Smaller parts, so that there are several in an export that is made quickly.
uploads.MOST_PART_BYTES = uploads.PART_BYTES
# Ranges by what they hold, however long they take: otherwise the machine's load decides how large the parts are.
exporting.RANGE_SECONDS = exporting.SAVE_SECONDS = 1e9

class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 60_000)

assert handler.handler(json.load(sys.stdin), Context()) == {"batchItemFailures": []}
[peak] = re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
print(f"peak {peak}")
"""


def peak_megabytes(service: Service) -> float:
    assert start(service, "events").status == 202
    service.relay()
    event = receive("exporting")
    assert event
    environment = {**os.environ, "DATABASE_USER": "orders_exporter", "DATABASE_PASSWORD": ROLE_PASSWORD}
    worker = subprocess.run(
        [sys.executable, "-c", WORKER], input=json.dumps(event), env=environment, capture_output=True, text=True, check=False
    )
    assert worker.returncode == 0, worker.stdout + worker.stderr
    delete(event, "exporting")
    return int(worker.stdout.rpartition(" ")[2]) / 1024


@pytest.mark.slow
def test_three_times_the_parts_take_no_more_memory(service: Service, db: Database) -> None:
    """Both exports fill parts: one that does not is smaller by what the part before it has left behind."""
    db.sql(LARGE_EVENTS, first=1, last=1_200)
    small = peak_megabytes(service)
    db.sql(LARGE_EVENTS, first=1_201, last=3_600)
    large = peak_megabytes(service)
    parts = "SELECT rows, bytes / (5 * 1024 * 1024) FROM exports ORDER BY number"
    assert db.sql(parts) == [[1_200, 1], [3_600, 3]]
    # Less than the two parts more.
    assert (large < 100, large - small < 8) == (True, True), (small, large)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.slow
def test_whatever_is_killed_and_doubled_an_export_holds_each_row_once(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers die before and after each call of S3 and each change; messages arrive twice; parts are of a few kilobytes."""
    db.sql(FROM_ONE)
    service.seed(customers=60, orders_per_customer=10, items_per_order=1)
    service.module("run_export")
    import exporting  # noqa: PLC0415 - stand in the worker's folder
    import uploads  # noqa: PLC0415

    chance, real = random.Random(7), uploads.s3()
    fates: Counter[str] = Counter()

    def mortal(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        fate = chance.choices(["killed before", "killed after", "done"], [1, 1, 12])[0]
        fates[fate] += 1
        if fate == "killed before":
            raise Killed
        answer = call(*arguments, **options)
        if fate == "killed after":
            raise Killed
        return answer

    class MortalS3:
        def __getattr__(self, name: str) -> Any:
            return partial(mortal, getattr(real, name))

    change = exporting.Export._change
    monkeypatch.setattr(exporting.Export, "_change", lambda *a, **o: mortal(change, *a, **o))
    monkeypatch.setattr(exporting, "FIRST_RANGE", 20)
    monkeypatch.setattr(exporting, "RANGE_BYTES", 1)
    monkeypatch.setattr(exporting, "PART_BYTES", 1)
    monkeypatch.setattr(uploads, "COMPRESSED_AT_ONCE", 1)
    # moto, like S3, wants 5 MiB of each part but the last.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(uploads, "s3", MortalS3)
    wanted = listed(service, "/api/orders/")
    for _ in range(3):
        begun = start(service)
        while db.value("SELECT count(*) FROM outbox"):
            db.sql("UPDATE outbox SET due_at = now()")
            service.relay()
            while event := receive("exporting"):
                delete(event, "exporting")
                for _ in range(2):
                    try:
                        assert service.invoke("run_export", event) == {"batchItemFailures": []}
                    except Killed:
                        continue
        export = service.http("GET", begun.headers["location"]).json
        fates["several snapshots"] += not export["consistent"]
        assert [json.loads(line) for line in content(export).splitlines()] == wanted
        assert export["rows"] == len(wanted)
    assert min(fates[fate] for fate in ("killed before", "killed after", "several snapshots")) > 0, fates


def test_a_worker_that_was_overtaken_changes_nothing(
    service: Service, varied: None, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message arrives a second time while the first worker is in the middle of it."""
    service.module("run_export")
    import exporting  # noqa: PLC0415 - stands in the worker's folder

    begun, copy_range = start(service), exporting.Export._copy_range
    workers: list[int] = []

    def overtaken(export: Any, span: int) -> Any:
        assert event
        result = copy_range(export, span)
        workers.append(export.identity["worker"])
        if len(workers) == 1:
            assert database._connection
            database._connection.abandon()
            service.connections["orders_exporter"] = None
            assert service.invoke("run_export", event) == {"batchItemFailures": []}
        return result

    monkeypatch.setattr(exporting.Export, "_copy_range", overtaken)
    service.relay()
    event = receive("exporting")
    assert event
    assert service.invoke("run_export", event) == {"batchItemFailures": []}
    assert workers[:2] == [1, 2]
    export = service.http("GET", begun.headers["location"]).json
    assert [json.loads(line) for line in content(export).splitlines()] == listed(service, "/api/orders/")
