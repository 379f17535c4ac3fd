"""Seeding: exactly the promised rows, whatever the queue and the worker do."""

import json
import re
import threading
from typing import Any

import boto3
import pytest

from orders.messages import chunk_message
from tests.harness import Answer, Database, Service, assert_problem, delete, receive

ROWS = "SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_items)"


def record(body: Any, receives: int = 1, message_id: str = "m") -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": message_id, "body": text, "attributes": {"ApproximateReceiveCount": str(receives)}}


def start(service: Service, **numbers: int) -> str:
    """Starts a run and takes its messages off the queue; returns its id."""
    run: str = service.http("POST", "/api/dev/seed/", numbers).json["id"]
    while event := receive():
        delete(event)
    return run


def queued() -> list[str]:
    """The bodies of all messages; empties the queue."""
    bodies = []
    while event := receive():
        bodies += [record["body"] for record in event["Records"]]
        delete(event)
    return bodies


def status(service: Service, run: str) -> dict[str, Any]:
    document: dict[str, Any] = service.http("GET", f"/api/dev/seed/{run}/").json
    return document


@pytest.mark.parametrize(
    ("numbers", "rows"),
    [({}, 210), ({"customers": 3, "orders_per_customer": 0}, 3), ({"customers": 700, "items_per_order": 9}, 35_700)],
)
def test_a_run_creates_exactly_the_promised_rows(service: Service, db: Database, numbers: dict[str, int], rows: int) -> None:
    run = service.http("GET", service.seed(**numbers)).json
    assert (run["status"], run["rows_total"], run["rows_done"]) == ("succeeded", rows, rows)
    assert run["chunks_done"] == run["chunks_total"]
    assert run["finished_at"] >= run["created_at"]
    assert run["error"] is None
    assert db.value(ROWS) == rows


def test_seeded_data_looks_real(service: Service) -> None:
    path = service.seed(customers=30)
    run = path.split("/")[-2]
    orders = service.http("GET", "/api/orders/", query={"limit": 200}).json["results"]
    assert {order["status"] for order in orders} == {"pending", "paid", "shipped", "delivered", "cancelled"}
    for order in orders:
        email, name = order["customer"]["email"], order["customer"]["name"]
        assert re.fullmatch(rf"[a-z]+\.[a-z]+\.\d+@{run}\.example\.com", email)
        assert email.split(".")[:2] == name.lower().split()
        assert all(item["unit_price_cents"] > 0 for item in order["items"])
    assert service.http("GET", "/api/orders/", query={"status": "paid", "email": "alice"}).json["results"] != []


def test_statuses_depend_on_age(service: Service, db: Database) -> None:
    """Old orders have been delivered, new ones wait to be paid or shipped."""
    service.seed(customers=3000)
    by_age = "SELECT ntile(10) OVER (ORDER BY id DESC) AS tenth, status FROM orders"
    counts = db.sql(f"SELECT tenth, status, count(*) FROM ({by_age}) AS aged GROUP BY tenth, status")
    share = {(tenth, status): count / 1500 for tenth, status, count in counts}
    assert share[1, "pending"] + share[1, "paid"] > 0.8
    assert share.get((1, "delivered"), 0) < 0.05
    for tenth in range(5, 11):
        assert share[tenth, "delivered"] > 0.9
        assert share[tenth, "pending"] < 0.02
    assert 0.03 < sum(share[tenth, "cancelled"] for tenth in range(1, 11)) / 10 < 0.1


@pytest.mark.parametrize("table", ["orders", "customers"])
def test_seeded_rows_are_newest_first_by_time_as_well(service: Service, db: Database, table: str) -> None:
    disorder = (
        f"SELECT count(*) FROM (SELECT created_at < lag(created_at) OVER (ORDER BY id) AS late FROM {table}) AS t WHERE late"
    )
    span = f"SELECT extract(day FROM max(created_at) - min(created_at)) FROM {table}"
    service.seed(customers=3000)
    assert (db.value(disorder), int(db.value(span))) == (0, 89)  # and almost a day
    customer = service.customer()
    service.order(customer["id"])
    # A second run only fills the time since then.
    service.seed(customers=20)
    assert db.value(disorder) == 0
    assert db.value(f"SELECT count(*) FROM {table} WHERE created_at > now()") == 0


def test_orders_come_after_their_customer_and_have_changed_by_now(service: Service, db: Database) -> None:
    service.seed(customers=1500)
    joined = "FROM orders AS o JOIN customers AS c ON c.id = o.customer_id"
    assert db.value(f"SELECT count(*) {joined} WHERE o.created_at < c.created_at OR o.updated_at > now()") == 0
    assert db.value("SELECT count(*) FROM orders WHERE updated_at < created_at") == 0
    assert db.value("SELECT count(*) FROM orders WHERE status = 'pending' AND updated_at > created_at") == 0


@pytest.mark.parametrize(("customers", "orders", "items"), [(1190, 5, 3), (7, 3, 2), (2, 1000, 1), (3, 1, 100), (1, 1, 1)])
def test_a_few_customers_have_many_orders_and_a_few_orders_many_items(
    service: Service, db: Database, customers: int, orders: int, items: int
) -> None:
    service.seed(customers=customers, orders_per_customer=orders, items_per_order=items)
    [[most, least]] = db.sql("SELECT max(order_count), min(order_count) FROM customer_totals")
    [[largest, smallest, all_items]] = db.sql("SELECT max(item_count), min(item_count), sum(item_count) FROM orders")
    assert db.value("SELECT count(*) FROM orders") == customers * orders
    assert all_items == customers * orders * items == db.value("SELECT count(*) FROM order_items")
    assert 1 <= smallest <= items <= largest <= 4 * items
    if customers > 1000:
        assert most > 20 * orders
        assert least < orders / 2
        assert (smallest, largest) == (1, 9)


def test_no_order_is_written_twice(service: Service, db: Database) -> None:
    """It is inserted with its totals, so that the trigger has nothing to change."""
    run = start(service, customers=100)
    worker = db.connect("orders_seeder")
    worker.run("BEGIN")
    worker.run(service.module("run_seed_chunk").CHUNK, run_id=run, number=1)
    written = "SELECT n_tup_ins, n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'orders'"
    assert worker.run(written) == [[500, 0]]
    worker.abandon()


def test_a_chunk_is_one_statement(service: Service, db: Database) -> None:
    run = start(service, customers=50)
    calls = "SELECT sum(calls)::integer FROM pg_stat_statements WHERE userid = 'orders_seeder'::regrole"
    db.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    db.sql("SELECT pg_stat_statements_reset()")
    service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})]})
    # track = top excludes what the triggers run within the statement.
    assert db.value(calls) == 1
    assert status(service, run)["status"] == "succeeded"


def test_a_message_delivered_again_creates_nothing(service: Service, db: Database) -> None:
    run = start(service)
    for _ in range(3):
        answer = service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})] * 2})
        assert answer == {"batchItemFailures": []}
    assert db.value(ROWS) == 210


def test_a_run_announced_again_does_no_harm(service: Service, db: Database) -> None:
    run = start(service, customers=2000, orders_per_customer=4)
    for _ in range(3):
        service.invoke("run_seed_chunk", {"Records": [record({"run": run})]})
    service.work_off_queue()
    service.invoke("run_seed_chunk", {"Records": [record({"run": run})]})
    assert receive() is None
    assert status(service, run)["chunks_total"] > 1
    assert db.value(ROWS) == status(service, run)["rows_total"] == 34_000


def test_two_workers_with_the_same_chunk_create_it_once(service: Service, db: Database) -> None:
    run = start(service, customers=1000)
    chunk = service.module("run_seed_chunk").CHUNK
    rows: list[Any] = []

    def work() -> None:
        connection = db.connect("orders_seeder")
        rows.append(connection.run(chunk, run_id=run, number=1))
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(map(len, rows)) == [0, 0, 0, 1]
    assert db.value(ROWS) == 21_000


def test_a_worker_that_dies_half_way_leaves_nothing(service: Service, db: Database) -> None:
    run = start(service, customers=1000)
    chunk = service.module("run_seed_chunk").CHUNK
    connection = db.connect("orders_seeder")
    connection.run("BEGIN")
    assert connection.run(chunk, run_id=run, number=1) != []
    connection.abandon()
    assert db.value(ROWS) == 0
    assert status(service, run)["status"] == "queued"
    service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})]})
    assert db.value(ROWS) == 21_000


def test_six_runs_at_once_all_succeed(service: Service, db: Database) -> None:
    runs = [service.http("POST", "/api/dev/seed/", {"customers": 300}).json["id"] for _ in range(6)]
    events = []
    while event := receive():
        events.append(event)
    announced = [record for event in events for record in event["Records"]]
    service.invoke("run_seed_chunk", {"Records": announced})
    errors: list[BaseException] = []
    chunk = service.module("run_seed_chunk").CHUNK

    def work(run: str) -> None:
        try:
            connection = db.connect("orders_seeder")
            connection.run(chunk, run_id=run, number=1)
            connection.close()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(run,)) for run in runs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for event in events:
        delete(event)
    service.work_off_queue()
    assert errors == []
    assert [status(service, run)["status"] for run in runs] == ["succeeded"] * 6
    assert db.value(ROWS) == 6 * 300 * 21


def test_one_poisoned_message_does_not_hold_up_the_others(service: Service, db: Database) -> None:
    run = start(service)
    records = [record("not json", message_id="poison"), record({"run": run, "chunk": 1}, message_id="good")]
    assert service.invoke("run_seed_chunk", {"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    assert db.value(ROWS) == 210


def test_a_chunk_that_keeps_failing_ends_its_run_with_a_reason(
    service: Service, db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(service)
    db.sql("ALTER TABLE order_items ADD CONSTRAINT sabotage CHECK (quantity > 100) NOT VALID")
    try:
        for receives in (1, 2, 3):
            assert status(service, run)["status"] == "queued"
            answer = service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1}, receives)]})
            assert answer["batchItemFailures"] == [{"itemIdentifier": "m"}]
    finally:
        db.sql("ALTER TABLE order_items DROP CONSTRAINT sabotage")
    failed = status(service, run)
    assert failed["status"] == "failed"
    assert failed["error"].startswith("Chunk 1 failed 3 times.")
    assert failed["finished_at"] is not None
    assert '"SeedChunkFailed":[1.0]' in capsys.readouterr().out
    assert db.value(ROWS) == 0
    # Messages of a failed run that are still in the queue create nothing.
    service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})]})
    assert db.value(ROWS) == 0


def test_a_run_that_cannot_be_queued_is_refused_and_marked(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = service.module("start_seed")
    monkeypatch.setattr(module, "QUEUE_URL", module.QUEUE_URL + "-of-nobody")
    assert service.http("POST", "/api/dev/seed/", {}).status == 503
    assert db.sql("SELECT error FROM seed_runs") == [["The run could not be queued."]]


def test_a_keyed_run_that_could_not_be_queued_is_queued_by_the_retry(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = service.module("start_seed")
    with monkeypatch.context() as broken:
        broken.setattr(module, "QUEUE_URL", module.QUEUE_URL + "-of-nobody")
        assert service.http("POST", "/api/dev/seed/", {}, headers={"Idempotency-Key": "key"}).status == 503
    assert service.http("POST", "/api/dev/seed/", {}, headers={"Idempotency-Key": "key"}).status == 202
    service.work_off_queue()
    assert db.value(ROWS) == 210


@pytest.fixture
def limit(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of the default size may wait, and a little more."""
    monkeypatch.setattr(service.module("start_seed"), "MAX_UNFINISHED_ROWS", 450)


@pytest.mark.usefixtures("limit")
def test_unfinished_rows_are_limited_over_all_runs(service: Service, db: Database) -> None:
    first, _ = start(service), start(service)
    key = {"Idempotency-Key": "key"}
    problem = assert_problem(service.http("POST", "/api/dev/seed/", {}, headers=key), 409)
    assert "450 rows" in problem["detail"]
    assert db.value("SELECT count(*) FROM seed_runs") == 2
    assert receive() is None
    # A run that fits may still start, and the end of any run makes room: here one is cancelled, then the others end.
    start(service, customers=30, orders_per_customer=0)
    cancel(service, first)
    # The refusal was not stored as the key's answer.
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    assert_problem(service.http("POST", "/api/dev/seed/", {}), 409)
    for [run] in db.sql("SELECT id::text FROM seed_runs"):
        service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})]})
    assert service.http("POST", "/api/dev/seed/", {}).status == 202


def test_concurrent_starts_do_not_exceed_the_limit_together(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = service.module("start_seed").START_SEED
    params: dict[str, Any] = {"customers": 10, "orders_per_customer": 5, "items_per_order": 3, "rows_per_customer": 21}
    params |= {"customers_per_chunk": 10, "most_unfinished_rows": 450}
    params |= {"caller": "", "path": "/", "key": None, "request_hash": ""}
    begun = threading.Barrier(6)
    started: list[int] = []

    def starter() -> None:
        connection = db.connect("orders_seeder")
        connection.run("BEGIN")
        begun.wait()
        started.append(len(connection.run(statement, **params)))
        connection.run("COMMIT")
        connection.close()

    starters = [threading.Thread(target=starter) for _ in range(6)]
    for thread in starters:
        thread.start()
    for thread in starters:
        thread.join()
    assert sorted(started) == [0, 0, 0, 0, 1, 1]


def cancel(service: Service, run: str) -> Answer:
    return service.http("POST", f"/api/dev/seed/{run}/cancel/")


def test_a_cancelled_run_keeps_its_rows_and_creates_no_more(service: Service, db: Database) -> None:
    run = start(service, customers=2000, orders_per_customer=4)
    service.invoke("run_seed_chunk", {"Records": [record({"run": run, "chunk": 1})]})
    made = status(service, run)["rows_done"]
    assert 0 < made < 34_000
    answer = cancel(service, run)
    assert (answer.status, answer.json["status"], answer.json["rows_done"]) == (200, "cancelled", made)
    assert answer.json["finished_at"] >= answer.json["created_at"]
    assert answer.json["error"] is None
    assert answer.json == status(service, run)
    # Still in the queue: a chunk, and the run's own message.
    for message in ({"run": run, "chunk": 2}, {"run": run}):
        assert service.invoke("run_seed_chunk", {"Records": [record(message)]}) == {"batchItemFailures": []}
    assert receive() is None
    assert db.value(ROWS) == made
    again = cancel(service, run)
    assert (again.status, again.json) == (200, answer.json)


def test_a_run_that_has_ended_cannot_be_cancelled(service: Service, db: Database) -> None:
    succeeded = service.seed().split("/")[-2]
    assert "succeeded" in assert_problem(cancel(service, succeeded), 409)["detail"]
    failed = start(service)
    db.sql("UPDATE seed_runs SET failed_at = now(), error = 'E' WHERE id = :run", run=failed)
    assert "failed" in assert_problem(cancel(service, failed), 409)["detail"]
    assert [status(service, run)["status"] for run in (succeeded, failed)] == ["succeeded", "failed"]


def test_a_chunk_in_progress_is_finished_and_counted(service: Service, db: Database) -> None:
    run = start(service, customers=2000, orders_per_customer=4)
    worker = db.connect("orders_seeder")
    worker.run("BEGIN")
    [[rows]] = worker.run(service.module("run_seed_chunk").CHUNK, run_id=run, number=1)
    assert cancel(service, run).json["rows_done"] == 0
    worker.run("COMMIT")
    worker.close()
    assert (status(service, run)["status"], status(service, run)["rows_done"]) == ("cancelled", rows)
    assert db.value(ROWS) == rows


def test_a_cancelled_run_does_not_fail_afterwards(service: Service, db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    run = start(service)
    cancel(service, run)
    with service.role("orders_seeder"):
        last = record({"run": run, "chunk": 1}, receives=3)
        service.module("run_seed_chunk")._give_up_after_last_receive(last, Exception())
    assert "could not be marked" not in capsys.readouterr().out
    db.sql("UPDATE seed_runs SET created_at = now() - interval '25 hours'")
    assert service.invoke("audit_totals", {})["failed_runs"] == 0
    assert status(service, run)["status"] == "cancelled"


def test_a_replay_sends_nothing_that_is_already_queued(service: Service, db: Database) -> None:
    key = {"Idempotency-Key": "key"}
    numbers = {"customers": 2000, "orders_per_customer": 4}
    first = service.http("POST", "/api/dev/seed/", numbers, headers=key)
    announcement = receive()
    assert announcement is not None
    assert [json.loads(r["body"]) for r in announcement["Records"]] == [{"run": first.json["id"]}]

    def replay() -> None:
        answer = service.http("POST", "/api/dev/seed/", numbers, headers=key)
        assert (answer.status, answer.json["id"]) == (202, first.json["id"])
        assert answer.headers["idempotency-replayed"] == "true"

    replay()
    assert queued() == []
    service.invoke("run_seed_chunk", announcement)
    delete(announcement)
    replay()
    messages = queued()
    assert len(messages) == len(set(messages)) == first.json["chunks_total"] > 1
    service.invoke("run_seed_chunk", {"Records": [record(message) for message in messages]})
    replay()
    assert queued() == []
    assert db.value(ROWS) == 34_000


def test_a_replay_queues_a_run_whose_sender_was_killed(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its commit and its message, unless the run has been cancelled since."""

    class Killed(BaseException):
        pass

    class Killer:
        def send_message(self, **request: Any) -> None:
            raise Killed

    key = {"Idempotency-Key": "key"}
    with monkeypatch.context() as broken:
        broken.setattr(service.module("start_seed"), "sqs", Killer())
        with pytest.raises(Killed):
            service.http("POST", "/api/dev/seed/", {}, headers=key)
    assert receive() is None
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    event = receive()
    assert event is not None
    delete(event)
    # As if it had been killed again, this time before marking the run as queued.
    db.sql("UPDATE seed_runs SET queued_at = NULL, cancelled_at = now()")
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    assert receive() is None


def test_messages_that_sqs_refuses_are_sent_again_and_only_those(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQS refuses two of ten, then throttles one of them, then accepts it."""
    module = service.module("run_seed_chunk")
    sent: list[list[str]] = []
    refusals = [{"3", "7"}, {"7"}, set()]
    real = boto3.client("sqs")

    class Throttled:
        def send_message_batch(self, **request: Any) -> dict[str, Any]:
            refused = refusals[len(sent)]
            sent.append([entry["Id"] for entry in request["Entries"]])
            taken = [entry for entry in request["Entries"] if entry["Id"] not in refused]
            answer: dict[str, Any] = dict(real.send_message_batch(QueueUrl=request["QueueUrl"], Entries=taken)) if taken else {}
            failed = [{"Id": identifier, "Code": "RequestThrottled", "SenderFault": False} for identifier in refused]
            return {**answer, "Failed": failed}

    monkeypatch.setattr(module, "sqs", Throttled())
    module.send([chunk_message("r", number) for number in range(10)])
    assert sent == [[str(n) for n in range(10)], ["3", "7"], ["7"]]
    arrived = []
    while event := receive():
        arrived += [json.loads(record["body"])["chunk"] for record in event["Records"]]
        delete(event)
    assert sorted(arrived) == list(range(10))


def test_the_audit_gives_up_a_run_that_was_never_finished(service: Service, db: Database) -> None:
    run = start(service)
    assert service.invoke("audit_totals", {})["failed_runs"] == 0
    db.sql("UPDATE seed_runs SET created_at = now() - interval '25 hours'")
    assert service.invoke("audit_totals", {})["failed_runs"] == 1
    assert status(service, run)["status"] == "failed"


def test_the_audit_deletes_keys_after_two_days(service: Service, db: Database) -> None:
    for key in ("old", "new"):
        service.http("POST", "/api/customers/", {"email": f"{key}@b.de", "name": "A"}, headers={"Idempotency-Key": key})
    db.sql("UPDATE idempotency_keys SET created_at = now() - interval '49 hours' WHERE key = 'old'")
    db.sql("UPDATE idempotency_keys SET created_at = now() - interval '47 hours' WHERE key = 'new'")
    assert service.invoke("audit_totals", {})["purged_keys"] == 1
    assert db.sql("SELECT key FROM idempotency_keys") == [["new"]]
