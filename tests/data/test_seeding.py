"""Seeding: exactly the promised rows, whatever the queue and the worker do."""

import json
import re
import threading
from typing import Any

import pytest

from contract.functions import ROOT
from tests.harness import Answer, Database, LambdaContext, Service, assert_problem

ROWS = "SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_items)"


def record(body: Any, receives: int = 1, message_id: str = "m") -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": message_id, "body": text, "attributes": {"ApproximateReceiveCount": str(receives)}}


def start(service: Service, **numbers: int) -> str:
    """Starts a run, whose messages are not sent yet; returns its id."""
    run: str = service.http("POST", "/api/dev/seed/", numbers).json["id"]
    return run


def chunk(db: Database, run: str, number: int = 1) -> dict[str, Any]:
    """The message of a chunk that has not been made."""
    [[row]] = db.sql(
        "SELECT id FROM outbox WHERE body = jsonb_build_object('run', :run::text, 'chunk', :number::integer)",
        run=run,
        number=number,
    )
    return {"run": run, "chunk": number, "outbox": row}


def parameters(message: dict[str, Any]) -> dict[str, Any]:
    """Those of the worker's statement."""
    return {"outbox_id": message["outbox"], "run_id": message["run"], "number": message["chunk"]}


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


def test_the_readme_shows_what_the_first_run_makes(service: Service) -> None:
    """All but ids and times are the same each time."""

    def made(document: Any) -> Any:
        varying = r'"(customer_)?id": \d+, |, "(created|updated)_at": "[^"]*"|@[^"]*'
        return json.loads(re.sub(varying, "", json.dumps(document)))["results"]

    service.seed()
    readme = (ROOT / "README.md").read_text()
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", readme, re.DOTALL)]
    paid = service.http("GET", "/api/orders/", query={"status": "paid", "email": "alice"})
    biggest = service.http("GET", "/api/orders/summary/", query={"limit": 1})
    for answer, wanted in ((paid, shown[1]), (biggest, shown[2])):
        assert made(answer.json) == made(wanted)


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
    worker.run(service.module("run_seed_chunk").CHUNK, **parameters(chunk(db, run)))
    written = "SELECT n_tup_ins, n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'orders'"
    assert worker.run(written) == [[500, 0]]
    worker.abandon()


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_chunk_reads_no_items_but_its_own(service: Service, db: Database, analyzed: bool) -> None:
    """However many there are: otherwise each chunk of a large run takes longer than the one before."""
    service.seed(customers=600, orders_per_customer=10)
    if analyzed:
        db.sql("ANALYZE")
    run = start(service, customers=100, orders_per_customer=10)
    worker = db.connect("orders_seeder")
    worker.run("BEGIN")
    worker.run(service.module("run_seed_chunk").CHUNK, **parameters(chunk(db, run)))
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'order_items'"
    assert worker.run(read) == [[3000]]
    worker.abandon()


def test_a_chunk_is_one_statement(service: Service, db: Database) -> None:
    run = start(service, customers=50)
    calls = "SELECT sum(calls)::integer FROM pg_stat_statements WHERE userid = 'orders_seeder'::regrole"
    db.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    message = chunk(db, run)
    db.sql("SELECT pg_stat_statements_reset()")
    service.invoke("run_seed_chunk", {"Records": [record(message)]})
    # track = top excludes what the triggers run within the statement.
    assert db.value(calls) == 1
    assert status(service, run)["status"] == "succeeded"


def test_a_message_delivered_again_creates_nothing(service: Service, db: Database) -> None:
    message = chunk(db, start(service))
    for _ in range(3):
        answer = service.invoke("run_seed_chunk", {"Records": [record(message)] * 2})
        assert answer == {"batchItemFailures": []}
    assert db.value(ROWS) == 210
    assert db.value("SELECT count(*) FROM outbox") == 0


def test_messages_of_the_release_before_are_understood(service: Service, db: Database) -> None:
    """It sends one for a run, which becomes one per chunk, and knows no outbox."""
    run = start(service, customers=2000, orders_per_customer=4)
    db.sql("DELETE FROM outbox WHERE body ->> 'chunk' <> '1'")
    for former in ({"run": run}, {"run": run, "chunk": 1}, {"run": run}):
        assert service.invoke("run_seed_chunk", {"Records": [record(former)]}) == {"batchItemFailures": []}
    assert db.value(ROWS) == 0
    service.work_off_queue()
    service.invoke("run_seed_chunk", {"Records": [record({"run": run})]})
    assert db.value("SELECT count(*) FROM outbox") == 0
    assert status(service, run)["chunks_total"] > 1
    assert db.value(ROWS) == status(service, run)["rows_total"] == 34_000


def test_two_workers_with_the_same_chunk_create_it_once(service: Service, db: Database) -> None:
    run = start(service, customers=1000)
    statement, message = service.module("run_seed_chunk").CHUNK, chunk(db, run)
    rows: list[Any] = []

    def work() -> None:
        connection = db.connect("orders_seeder")
        rows.append(connection.run(statement, **parameters(message)))
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
    statement, message = service.module("run_seed_chunk").CHUNK, chunk(db, run)
    connection = db.connect("orders_seeder")
    connection.run("BEGIN")
    assert connection.run(statement, **parameters(message)) != []
    connection.abandon()
    assert db.value(ROWS) == 0
    assert status(service, run)["status"] == "queued"
    service.invoke("run_seed_chunk", {"Records": [record(message)]})
    assert db.value(ROWS) == 21_000


def test_six_runs_at_once_all_succeed(service: Service, db: Database) -> None:
    runs = [start(service, customers=300) for _ in range(6)]
    errors: list[BaseException] = []
    statement = service.module("run_seed_chunk").CHUNK

    def work(message: dict[str, Any]) -> None:
        try:
            connection = db.connect("orders_seeder")
            connection.run(statement, **parameters(message))
            connection.close()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(chunk(db, run),)) for run in runs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    service.work_off_queue()
    assert errors == []
    assert [status(service, run)["status"] for run in runs] == ["succeeded"] * 6
    assert db.value(ROWS) == 6 * 300 * 21


def test_one_poisoned_message_does_not_hold_up_the_others(service: Service, db: Database) -> None:
    run = start(service)
    records = [record("not json", message_id="poison"), record(chunk(db, run), message_id="good")]
    assert service.invoke("run_seed_chunk", {"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    assert db.value(ROWS) == 210


def test_a_chunk_that_keeps_failing_ends_its_run_with_a_reason(
    service: Service, db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(service)
    message = chunk(db, run)
    db.sql("ALTER TABLE order_items ADD CONSTRAINT sabotage CHECK (quantity > 100) NOT VALID")
    try:
        for receives in (1, 2, 3):
            assert status(service, run)["status"] == "queued"
            answer = service.invoke("run_seed_chunk", {"Records": [record(message, receives)]})
            assert answer["batchItemFailures"] == [{"itemIdentifier": "m"}]
    finally:
        db.sql("ALTER TABLE order_items DROP CONSTRAINT sabotage")
    failed = status(service, run)
    assert failed["status"] == "failed"
    assert failed["error"].startswith("Chunk 1 failed 3 times.")
    assert failed["finished_at"] is not None
    assert '"SeedChunkFailed":[1.0]' in capsys.readouterr().out
    assert db.value(ROWS) == 0
    assert db.value("SELECT count(*) FROM outbox") == 0
    # Nor does the dead letter, if it is sent again.
    service.invoke("run_seed_chunk", {"Records": [record(message)]})
    assert db.value(ROWS) == 0


def test_a_chunk_that_found_no_database_is_not_given_up(service: Service, db: Database) -> None:
    """However often, that says nothing of the chunk: it goes to the dead-letter queue, and its row is sent again."""
    run = start(service)
    event = {"Records": [record(chunk(db, run), receives=9)]}
    assert service.invoke("run_seed_chunk", event, LambdaContext(0)) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert status(service, run)["status"] == "queued"
    service.work_off_queue()
    assert status(service, run)["status"] == "succeeded"


def test_other_chunks_of_a_failed_run_write_nothing_and_leave_no_row(service: Service, db: Database) -> None:
    run = start(service, customers=2000, orders_per_customer=4)
    with service.role("orders_seeder"):
        service.module("run_seed_chunk").give_up(chunk(db, run), "failed.")
    assert db.value("SELECT count(*) FROM outbox") > 0
    service.work_off_queue()
    assert db.value("SELECT count(*) FROM outbox") == 0
    assert db.value(ROWS) == 0
    assert status(service, run)["error"] == "Chunk 1 failed."


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
    assert db.value("SELECT count(*) FROM outbox") == 2
    # A run that fits may still start, and the end of any run makes room: here one is cancelled, then the others end.
    start(service, customers=30, orders_per_customer=0)
    cancel(service, first)
    # The refusal was not stored as the key's answer.
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    assert service.http("POST", "/api/dev/seed/", {}, headers=key).status == 202
    assert_problem(service.http("POST", "/api/dev/seed/", {}), 409)
    service.work_off_queue()
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
    service.invoke("run_seed_chunk", {"Records": [record(chunk(db, run))]})
    made = status(service, run)["rows_done"]
    assert 0 < made < 34_000
    answer = cancel(service, run)
    assert (answer.status, answer.json["status"], answer.json["rows_done"]) == (200, "cancelled", made)
    assert answer.json["finished_at"] >= answer.json["created_at"]
    assert answer.json["error"] is None
    assert answer.json == status(service, run)
    # Its other rows are sent as well, and go.
    assert db.value("SELECT count(*) FROM outbox") > 0
    service.work_off_queue()
    assert db.value("SELECT count(*) FROM outbox") == 0
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
    [[rows]] = worker.run(service.module("run_seed_chunk").CHUNK, **parameters(chunk(db, run)))
    assert cancel(service, run).json["rows_done"] == 0
    worker.run("COMMIT")
    worker.close()
    assert (status(service, run)["status"], status(service, run)["rows_done"]) == ("cancelled", rows)
    assert db.value(ROWS) == rows


def test_a_cancelled_run_does_not_fail_afterwards(service: Service, db: Database) -> None:
    run = start(service)
    cancel(service, run)
    with service.role("orders_seeder"):
        service.module("run_seed_chunk").give_up(chunk(db, run), "failed.")
    db.sql("UPDATE seed_runs SET created_at = now() - interval '25 hours'")
    assert service.invoke("audit_totals", {})["failed_runs"] == 0
    assert status(service, run)["status"] == "cancelled"


def test_a_replay_adds_nothing_to_the_outbox(service: Service, db: Database) -> None:
    def post() -> Answer:
        numbers = {"customers": 2000, "orders_per_customer": 4}
        return service.http("POST", "/api/dev/seed/", numbers, headers={"Idempotency-Key": "key"})

    first = post()
    assert db.value("SELECT count(*) FROM outbox") == first.json["chunks_total"] > 1
    replayed = post()
    assert (replayed.status, replayed.json["id"]) == (202, first.json["id"])
    assert replayed.headers["idempotency-replayed"] == "true"
    assert db.value("SELECT count(*) FROM outbox") == first.json["chunks_total"]
    service.work_off_queue()
    post()
    assert db.value("SELECT count(*) FROM outbox") == 0
    assert db.value(ROWS) == 34_000


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
