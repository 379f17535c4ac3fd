"""The outbox: what was committed is sent and done, once, whatever dies and whatever the queue does to messages."""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ClientError

from contract.edge import leases
from contract.functions import FUNCTIONS, ROOT, load_functions
from drill.servers import PgBouncer
from orders import database
from orders.driver import DatabaseError
from tests.harness import ROLE_PASSWORD, Database, LambdaContext, Service, delete, queue_client, receive
from tests.tools import missing

LEASE = json.loads(leases(load_functions()))["seeding"]
# The lease counts from some moment between :began and now.
LEASED = "SELECT sends, extract(epoch FROM due_at - :began), extract(epoch FROM due_at - now()) FROM outbox"


def add(db: Database, count: int = 1, queue: str = "seeding") -> list[int]:
    """Adds rows, as a statement of a function does."""
    statement = "INSERT INTO outbox (queue, body) SELECT :queue, jsonb_build_object('n', n)"
    added = db.sql(f"{statement} FROM generate_series(1, :count::integer) AS n RETURNING id", queue=queue, count=count)
    return [row[0] for row in added]


def queued() -> list[dict[str, Any]]:
    """All messages in the queue, which is empty then."""
    messages = []
    while event := receive():
        messages += [json.loads(record["body"]) for record in event["Records"]]
        delete(event)
    return messages


@pytest.fixture(autouse=True)
def _no_messages(service: Service) -> Iterator[None]:
    queued()
    yield
    queued()


def end_leases(db: Database) -> None:
    db.sql("UPDATE outbox SET due_at = now()")


def test_a_message_holds_what_its_row_does_and_the_rows_id(service: Service, db: Database) -> None:
    [row] = add(db)
    assert service.relay() == 1
    assert queued() == [{"n": 1, "outbox": row}]


def test_what_is_not_committed_is_not_sent(service: Service, db: Database) -> None:
    db.sql("BEGIN")
    add(db)
    assert service.relay() == 0
    db.sql("ROLLBACK")
    assert service.relay() == 0
    assert queued() == []


def test_a_row_is_sent_when_it_is_due_and_again_after_its_lease(service: Service, db: Database) -> None:
    [row] = add(db)
    db.sql("UPDATE outbox SET due_at = now() + interval '1 hour'")
    assert service.relay() == 0
    end_leases(db)
    for sends, seconds in enumerate([LEASE, 4 * LEASE, 16 * LEASE, 6 * 3600, 6 * 3600], 1):
        began = db.value("SELECT now()")
        assert (service.relay(), service.relay()) == (1, 0)
        [[counted, most, least]] = db.sql(LEASED, began=began)
        assert counted == sends
        assert least <= seconds <= most
        end_leases(db)
    assert queued() == [{"n": 1, "outbox": row}] * 5


def test_a_backlog_of_a_day_adds_few_copies() -> None:
    """By the rule of the claim, which the test before this one holds."""
    sent, at = 0, 0
    while at < 24 * 3600:
        at += min(LEASE * 4**sent, 6 * 3600)
        sent += 1
    assert sent <= 7


def test_concurrent_relays_claim_each_row_once(service: Service, db: Database) -> None:
    rows = add(db, 2000)
    module = service.module("relay_outbox")
    claimed: list[list[int]] = []
    begun = threading.Barrier(6)

    def relay() -> None:
        connection = db.connect("orders_relay")
        begun.wait()
        while got := connection.run(module.CLAIM, batch=50, leases=module.LEASES):
            claimed.append([row[1] for row in got])
        connection.close()

    relays = [threading.Thread(target=relay) for _ in range(6)]
    for thread in relays:
        thread.start()
    for thread in relays:
        thread.join()
    assert max(map(len, claimed)) <= 50
    assert sorted(row for rows in claimed for row in rows) == rows


def test_rows_that_another_relay_is_claiming_are_not_waited_for(service: Service, db: Database) -> None:
    module = service.module("relay_outbox")
    [first, second] = add(db, 2)
    other = db.connect("orders_relay")
    other.run("BEGIN")
    assert [row[1] for row in other.run(module.CLAIM, batch=1, leases=module.LEASES)] == [first]
    assert service.relay() == 1
    db.kill(other)
    assert [message["outbox"] for message in queued()] == [second]
    # The other one never committed, so its row is still due.
    assert service.relay() == 1
    assert [message["outbox"] for message in queued()] == [first]


def test_no_transaction_is_open_while_messages_are_sent(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db)
    module = service.module("relay_outbox")
    open_transactions: list[int] = []

    class Watched:
        def send_message_batch(self, **request: Any) -> Any:
            sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orders_relay' AND xact_start IS NOT NULL"
            open_transactions.append(db.value(sql))
            return queue_client().send_message_batch(**request)

    monkeypatch.setattr(module, "sqs", Watched)
    assert service.relay() == 1
    assert open_transactions == [0]


class Refusing:
    """The real queue, which refuses some messages (by their n) or, if it fails, whatever it is sent."""

    refused: frozenset[int] = frozenset()
    fails = False

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        if self.fails:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "SendMessageBatch")
        taken = [entry for entry in Entries if json.loads(entry["MessageBody"])["n"] not in self.refused]
        answer = queue_client().send_message_batch(QueueUrl=QueueUrl, Entries=taken) if taken else {}
        failed = [
            {"Id": entry["Id"], "Code": "RequestThrottled", "SenderFault": False} for entry in Entries if entry not in taken
        ]
        return {**answer, "Failed": failed}


def test_messages_that_sqs_refuses_are_sent_after_their_lease_and_only_those(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(db, 25)
    module, refusing = service.module("relay_outbox"), Refusing()
    refusing.refused = frozenset({3, 7, 25})
    with monkeypatch.context() as throttled:
        throttled.setattr(module, "sqs", lambda: refusing)
        assert service.invoke("relay_outbox", {}, LambdaContext(30)) == {"sent": 22, "unsent": 3}
    assert '"OutboxUnsent":[3.0]' in capsys.readouterr().out
    assert sorted(message["n"] for message in queued()) == sorted({*range(1, 26)} - {3, 7, 25})
    db.sql("DELETE FROM outbox WHERE body ->> 'n' NOT IN ('3', '7', '25')")
    assert service.relay() == 0
    end_leases(db)
    assert service.relay() == 3
    assert sorted(message["n"] for message in queued()) == [3, 7, 25]


def test_a_queue_that_cannot_be_reached_loses_nothing(service: Service, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add(db, 12)
    module, refusing = service.module("relay_outbox"), Refusing()
    refusing.fails = True
    with monkeypatch.context() as throttled:
        throttled.setattr(module, "sqs", lambda: refusing)
        assert service.invoke("relay_outbox", {}, LambdaContext(30)) == {"sent": 0, "unsent": 12}
    end_leases(db)
    assert service.relay() == 12
    assert len(queued()) == 12


def test_a_row_for_a_queue_that_does_not_exist_holds_up_no_other(service: Service, db: Database) -> None:
    add(db, queue="nobody")
    add(db)
    assert service.invoke("relay_outbox", {}, LambdaContext(30)) == {"sent": 1, "unsent": 1}
    assert len(queued()) == 1


def test_a_batch_is_within_the_limits_of_sqs(service: Service, db: Database) -> None:
    """Of a queue from before 2025; moto takes more."""
    module = service.module("relay_outbox")
    sizes = [200_000, 50_000, 20_000, *[100] * 25, 200_000, 200_000]
    messages = {str(n): "ü" * (size // 2) for n, size in enumerate(sizes)}
    batches = list(module.batches(messages))
    assert {identifier: body for batch in batches for identifier, body in batch.items()} == messages
    for batch in batches:
        assert len(batch) <= 10
        assert sum(len(body.encode()) for body in batch.values()) <= 262_144


def test_a_row_that_no_queue_would_take_is_refused_at_once(db: Database) -> None:
    statement = "INSERT INTO outbox (queue, body) VALUES ('seeding', jsonb_build_object('n', repeat('x', :size::integer)))"
    db.sql(statement, size=199_000)
    with pytest.raises(DatabaseError, match="outbox_body_limit"):
        db.sql(statement, size=200_000)
    with pytest.raises(DatabaseError, match="outbox_body_object"):
        db.sql("INSERT INTO outbox (queue, body) VALUES ('seeding', '[]')")


def test_a_relay_goes_on_when_the_database_comes_back(service: Service, db: Database) -> None:
    class Clock(LambdaContext):
        def get_remaining_time_in_millis(self) -> int:
            self.milliseconds -= 1
            return self.milliseconds

    add(db)
    with service.role("orders_relay"):
        module = service.module("relay_outbox")
        with pytest.MonkeyPatch.context() as down:
            down.setattr(module.time, "sleep", lambda seconds: down.undo())
            down.setenv("DATABASE_PORT", "1")
            if database._connection is not None:
                database._connection.abandon()
            assert module.handler({}, Clock(35.002)) == {"sent": 1, "unsent": 0}
    assert len(queued()) == 1


def test_a_relay_reports_how_late_it_is(service: Service, db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    add(db, 2)
    db.sql("UPDATE outbox SET due_at = now() - interval '90 seconds' WHERE body ->> 'n' = '1'")
    service.invoke("relay_outbox", {}, LambdaContext(30))
    [metric] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "OutboxLag" in line]
    assert 90 <= metric["OutboxLag"][0] < 120
    assert metric["OutboxUnsent"] == [0]


needs_pgbouncer = pytest.mark.skipif(
    "pgbouncer" in missing(), reason="PgBouncer is not installed, and `make test` could not install it"
)


@needs_pgbouncer
def test_relays_work_through_a_transaction_pooler(service: Service, db: Database, tmp_path: Path) -> None:
    rows, module = add(db, 1000), service.module("relay_outbox")
    claimed: list[int] = []
    with PgBouncer(tmp_path, db.server, {"orders_relay": ROLE_PASSWORD}) as pooler:

        def relay() -> None:
            connection = replace(db.server, port=pooler.port, user="orders_relay", password=ROLE_PASSWORD).connect()
            while got := connection.run(module.CLAIM, batch=20, leases=module.LEASES):
                claimed.extend(row[1] for row in got)
            connection.close()

        relays = [threading.Thread(target=relay) for _ in range(6)]
        for thread in relays:
            thread.start()
        for thread in relays:
            thread.join()
    assert sorted(claimed) == rows


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.slow
def test_whatever_is_killed_and_whatever_the_queue_does_each_chunk_is_made_once(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relays die before, during and after sending; the queue loses, doubles and reorders; workers die before their commit."""
    chance = random.Random(10)
    run = service.http("POST", "/api/dev/seed/", {"customers": 60_000, "orders_per_customer": 0}).json["id"]
    chunks = db.value("SELECT count(*) FROM outbox")
    relay, worker = service.module("relay_outbox"), service.module("run_seed_chunk")
    fates: Counter[str] = Counter()

    class Mortal:
        def send_message_batch(self, **request: Any) -> Any:
            fate = chance.choice(["killed before", "killed after", "sent", "sent"])
            fates[fate] += 1
            if fate == "killed before":
                raise Killed
            answer = queue_client().send_message_batch(**request)
            if fate == "killed after":
                raise Killed
            return answer

    monkeypatch.setattr(relay, "sqs", Mortal)
    monkeypatch.setattr(relay, "ROWS_PER_CLAIM", 2)
    while db.value("SELECT count(*) FROM outbox"):
        end_leases(db)
        try:
            service.invoke("relay_outbox", {}, LambdaContext(30))
        except Killed:
            continue
        messages = queued()
        lost = [message for message in messages if chance.random() < 0.2]
        fates["lost"] += len(lost)
        messages = [message for message in messages if message not in lost] * 2
        chance.shuffle(messages)
        for message in messages:
            if chance.random() < 0.3:
                fates["worker killed"] += 1
                connection = db.connect("orders_seeder")
                connection.run("BEGIN")
                connection.run(worker.CHUNK, outbox_id=message["outbox"], run_id=message["run"], number=message["chunk"])
                db.kill(connection)
            else:
                record = {"messageId": "m", "body": json.dumps(message), "attributes": {"ApproximateReceiveCount": "1"}}
                assert service.invoke("run_seed_chunk", {"Records": [record]}) == {"batchItemFailures": []}
    assert min(fates[fate] for fate in ("killed before", "killed after", "sent", "lost", "worker killed")) > 0, fates
    document = service.http("GET", f"/api/dev/seed/{run}/").json
    assert (document["status"], document["chunks_done"]) == ("succeeded", chunks)
    assert db.value("SELECT count(*) FROM customers") == 60_000


def test_the_relay_pauses_the_less_the_more_there_is_to_send(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = service.module("relay_outbox")
    pauses: list[float] = []
    context = LambdaContext(60)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        # Enough for four passes and a last one.
        context.milliseconds = 60_000 if len(pauses) < 4 else 30_000

    # No worker has this queue: they are claimed, and that is all.
    db.sql("INSERT INTO outbox (queue, body) SELECT 'nobodys', '{}' FROM generate_series(1, 150)")
    monkeypatch.setattr(relay, "time", SimpleNamespace(sleep=sleep))
    service.invoke("relay_outbox", {}, context)
    assert pauses == [0, 0.5, 1, 1]


def test_every_queue_that_a_statement_names_has_a_worker() -> None:
    """Its rows would otherwise wait for ever."""
    workers = {function.queue.name for function in load_functions() if function.queue is not None}
    files = [*FUNCTIONS.glob("*/*.sql"), *FUNCTIONS.glob("*/migrations/current/*.sql"), *(ROOT / "layers").rglob("*.sql")]
    named = {
        queue
        for file in files
        for queue in re.findall(r"INSERT INTO outbox \(queue, body[^)]*\)\s+(?:SELECT|VALUES \()\s*'(\w+)'", file.read_text())
    }
    assert named
    assert named <= workers


@pytest.mark.parametrize("before", ["", "ANALYZE outbox", "VACUUM ANALYZE outbox"])
def test_a_full_outbox_costs_no_more_than_an_empty_one(service: Service, db: Database, before: str) -> None:
    """Also right after it was empty: what the planner knows of it is from then."""
    add(db, 20_000)
    db.sql("DELETE FROM outbox")
    if before:
        db.sql(before)
    module, worker = service.module("relay_outbox"), service.module("run_seed_chunk")
    relay, seeder = db.connect("orders_relay"), db.connect("orders_seeder")
    options: dict[str, Any] = {"batch": 100, "leases": module.LEASES}
    nothing: dict[str, Any] = {"outbox_id": 0, "run_id": UUID(int=0), "number": 1}
    for _ in range(7):
        relay.run(module.CLAIM, **options)
        seeder.run(worker.CHUNK, **nothing)
    add(db, 20_000)
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox'"
    for connection, statement, parameters in ((relay, module.CLAIM, options), (seeder, worker.CHUNK, nothing)):
        connection.run("BEGIN")
        before = connection.run(read)[0][0]
        connection.run(statement, **parameters)
        assert connection.run(read)[0][0] - before <= 300
        connection.run("ROLLBACK")
        connection.close()


def bytes_of(db: Database) -> dict[str, int]:
    return dict(db.sql("SELECT name, pg_relation_size(name) FROM unnest(ARRAY['outbox', 'outbox_pkey', 'outbox_due']) AS name"))


def test_rows_that_pass_through_leave_no_bloat(service: Service, db: Database) -> None:
    """30,000 rows, 300 at a time, with the vacuum that autovacuum does by the table's own settings."""
    module = service.module("relay_outbox")
    relay = db.connect("orders_relay")
    option = "autovacuum_vacuum_threshold"
    options = "SELECT option_value FROM pg_class, pg_options_to_table(reloptions) WHERE relname = 'outbox'"
    threshold = int(db.value(f"{options} AND option_name = '{option}'"))
    db.sql("VACUUM outbox")
    largest: Counter[str] = Counter()
    dead = 0
    for _ in range(100):
        add(db, 300)
        while relay.run(module.CLAIM, batch=100, leases=module.LEASES):
            pass
        db.sql("DELETE FROM outbox")
        dead += 600
        if dead > threshold:
            db.sql("VACUUM outbox")
            dead = 0
        largest |= Counter(bytes_of(db))
    relay.close()
    # What the dead rows between two vacuums take, and some pages that are not empty at that moment.
    assert largest["outbox"] < 150 * threshold
    assert largest["outbox_pkey"] < 60 * threshold
    assert largest["outbox_due"] < 60 * threshold
