"""The poller: Lambda's semantics of an SQS event source, against moto's SQS server."""

import asyncio
import gc
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import Message

from contract import redrive
from contract.functions import Function, Queue
from local import sqs
from local.console import Console
from local.mail import Application
from local.outage import Outage
from local.runtime import FunctionPool, Result
from local.sqs import Chaos, Poller, QueueServer, failed_messages

WORKER = Function(
    name="worker",
    folder=Path(),
    routes=(),
    trigger="queue",
    timeout_seconds=2,
    queue=Queue("work", batch_size=5, max_receives=3),
)


ONCE = replace(WORKER, queue=Queue("work", batch_size=5, max_receives=3, once=True))
CALM = Chaos()


class RecordingWorker(FunctionPool):
    """A worker in this process: the batches that it received, and an answer for each."""

    def __init__(self, answer: Callable[[list[str]], Any], worker: Function = WORKER) -> None:
        super().__init__(worker, lambda _: pytest.fail("no process is needed"), Console(io.StringIO()))
        self.answer = answer
        self.batches: list[list[str]] = []
        self.records: list[dict[str, Any]] = []

    async def invoke(self, event: Any) -> Result:
        self.records += event["Records"]
        bodies = [record["body"] for record in event["Records"]]
        self.batches.append(bodies)
        failing = self.answer(bodies)
        if isinstance(failing, Result):
            return failing
        ids = [{"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] in failing]
        return Result(json.dumps({"batchItemFailures": ids}).encode(), failed=False)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueServer]:
    monkeypatch.setattr(sqs, "RETRY_SECONDS", 0)
    yield from serving(WORKER)


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueServer]:
    """A queue that delivers once."""
    monkeypatch.setattr(sqs, "RETRY_SECONDS", 0)
    yield from serving(ONCE)


def serving(worker: Function, around: Callable[[Application], Application] = lambda moto: moto) -> Iterator[QueueServer]:
    server = QueueServer([worker], around)
    yield server
    # moto's queues and buckets belong to the process, not to the server.
    sqs.client("s3", server.endpoint).delete_bucket(Bucket=sqs.BUCKET)
    server.client.delete_queue(QueueUrl=server.urls["work"])
    server.client.delete_queue(QueueUrl=server.dead_letter_urls["work"])
    server.stop()


def deliver(
    queue: QueueServer, worker: RecordingWorker, bodies: list[str], until: Callable[[], bool], chaos: Chaos = CALM
) -> None:
    async def scenario() -> None:
        poller = Poller(queue, worker, Console(io.StringIO()), chaos)
        poller.start()
        for number, body in enumerate(bodies):
            url = queue.urls["work"]
            group = {"MessageGroupId": str(number)} if url.endswith(".fifo") else {}
            await asyncio.to_thread(queue.client.send_message, QueueUrl=url, MessageBody=body, **group)
        async with asyncio.timeout(30):
            # Once the queue is empty nothing more can come.
            while not until() or waiting(queue, queue.urls["work"]):
                await asyncio.sleep(0.05)
        await poller.stop()

    asyncio.run(scenario())


def waiting(queue: QueueServer, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = queue.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, attributes.values()))


def test_messages_are_delivered_in_batches_and_deleted(queue: QueueServer) -> None:
    worker = RecordingWorker(lambda bodies: [])
    bodies = [str(n) for n in range(12)]
    deliver(queue, worker, bodies, lambda: len(worker.records) >= 12)
    assert sorted(record["body"] for record in worker.records) == sorted(bodies)
    assert max(map(len, worker.batches)) <= 5
    assert waiting(queue, queue.urls["work"]) == 0
    record = worker.records[0]
    assert record["eventSource"] == "aws:sqs"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_message_is_handed_out_without_many_looks_at_the_others(queue: QueueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [{"Id": str(n), "MessageBody": "m"} for n in range(10)]
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return time.time() * 1000

    for _ in range(20):
        queue.client.send_message_batch(QueueUrl=queue.urls["work"], Entries=messages)
    monkeypatch.setattr("moto.sqs.models.unix_time_millis", clock)
    received = queue.client.receive_message(QueueUrl=queue.urls["work"], MaxNumberOfMessages=10)["Messages"]
    assert len(received) == 10
    assert looks < 5 * 200


def test_a_request_does_not_search_the_package_for_its_service_again(
    queue: QueueServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(queue, queue.urls["work"])
    monkeypatch.setattr("moto.backends.list_of_moto_modules", lambda: pytest.fail("the folders of moto were listed"))
    assert waiting(queue, queue.urls["work"]) == 0


def test_nothing_is_left_in_memory_of_a_message_that_was_deleted(queue: QueueServer) -> None:
    url = queue.urls["work"]

    def messages() -> int:
        gc.collect()
        return sum(type(each) is Message for each in gc.get_objects())

    before = messages()
    for _ in range(3):
        queue.client.send_message(QueueUrl=url, MessageBody="m")
        [received] = queue.client.receive_message(QueueUrl=url)["Messages"]
        queue.client.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    assert messages() == before


def test_a_worker_that_waits_for_others_servers_has_more_batches_at_once(queue: QueueServer) -> None:
    """So a slow receiver's do not keep those of the others waiting."""
    meeting = asyncio.Barrier(4)

    class Waiting(RecordingWorker):
        async def invoke(self, event: Any) -> Result:
            await meeting.wait()
            return await super().invoke(event)

    worker = Waiting(lambda bodies: [], replace(WORKER, database_user=""))
    for _ in range(2):
        messages = [{"Id": str(n), "MessageBody": "m"} for n in range(10)]
        queue.client.send_message_batch(QueueUrl=queue.urls["work"], Entries=messages)
    deliver(queue, worker, [], lambda: len(worker.records) == 20)
    assert len(worker.batches) == 4


def test_only_failed_messages_return_and_end_in_the_dead_letter_queue(queue: QueueServer) -> None:
    worker = RecordingWorker(lambda bodies: ["poison"])
    deliver(queue, worker, ["good", "poison", "fine"], lambda: waiting(queue, queue.dead_letter_urls["work"]) == 1)
    delivered = [record["body"] for record in worker.records]
    assert (delivered.count("good"), delivered.count("fine"), delivered.count("poison")) == (1, 1, 3)
    assert [r["attributes"]["ApproximateReceiveCount"] for r in worker.records if r["body"] == "poison"] == ["1", "2", "3"]
    assert waiting(queue, queue.urls["work"]) == 0


def test_a_batch_whose_worker_fails_returns_whole(queue: QueueServer) -> None:
    failures = iter([True])
    worker = RecordingWorker(lambda bodies: Result(b"{}", failed=True) if next(failures, False) else [])
    deliver(queue, worker, ["a"], lambda: len(worker.records) >= 2)
    assert [record["body"] for record in worker.records] == ["a", "a"]
    assert waiting(queue, queue.urls["work"]) == 0


def test_a_poller_that_is_killed_with_messages_in_flight_leaves_them_to_the_next(queue: QueueServer) -> None:
    class Stuck(RecordingWorker):
        async def invoke(self, event: Any) -> Result:
            await super().invoke(event)
            await asyncio.Event().wait()
            raise AssertionError

    stuck = Stuck(lambda bodies: [])

    async def killed() -> None:
        poller = Poller(queue, stuck, Console(io.StringIO()), Chaos())
        poller.start()
        await asyncio.to_thread(queue.client.send_message, QueueUrl=queue.urls["work"], MessageBody="a")
        while not stuck.records:
            await asyncio.sleep(0.05)
        await poller.stop()

    asyncio.run(killed())
    assert waiting(queue, queue.urls["work"]) == 1
    worker = RecordingWorker(lambda bodies: [])
    deliver(queue, worker, [], lambda: len(worker.records) == 1)
    assert worker.records[0]["attributes"]["ApproximateReceiveCount"] == "2"


def test_dead_letters_are_shown_and_sent_again(queue: QueueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = RecordingWorker(lambda bodies: ["poison"])
    dead = queue.dead_letter_urls["work"]
    deliver(queue, worker, ["poison"], lambda: waiting(queue, dead) == 1)
    monkeypatch.setattr(redrive, "HIDDEN_SECONDS", 0)
    assert redrive.show(queue.client, dead) == ["poison"]
    assert redrive.send_again(queue.client, dead) == 1
    assert (waiting(queue, dead), waiting(queue, queue.urls["work"])) == (0, 1)
    repaired = RecordingWorker(lambda bodies: [])
    deliver(queue, repaired, [], lambda: len(repaired.records) == 1)
    assert repaired.records[0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_the_queue_can_be_told_to_repeat_and_reorder(queue: QueueServer) -> None:
    worker = RecordingWorker(lambda bodies: [])
    deliver(queue, worker, ["a", "b"], lambda: len(worker.records) >= 4, Chaos(duplicate=True, delay=True, reorder=True))
    assert sorted(record["body"] for record in worker.records) == ["a", "a", "b", "b"]


def test_a_queue_that_delivers_once_neither_repeats_nor_takes_the_same_message_twice(once: QueueServer) -> None:
    worker = RecordingWorker(lambda bodies: [], ONCE)
    deliver(once, worker, ["a", "b", "a"], lambda: len(worker.records) >= 2, Chaos(duplicate=True, delay=True, reorder=True))
    assert sorted(record["body"] for record in worker.records) == ["a", "b"]


def test_it_too_brings_back_what_failed_and_has_dead_letters_that_can_be_sent_again(once: QueueServer) -> None:
    worker, dead = RecordingWorker(lambda bodies: ["poison"], ONCE), once.dead_letter_urls["work"]
    deliver(once, worker, ["good", "poison"], lambda: waiting(once, dead) == 1)
    assert sorted(record["body"] for record in worker.records) == ["good", "poison", "poison", "poison"]
    assert redrive.send_again(once.client, dead) == 1
    repaired = RecordingWorker(lambda bodies: [], ONCE)
    deliver(once, repaired, [], lambda: len(repaired.records) == 1)


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, {"a", "b"}),
        ({"batchItemFailures": [{"wrong": "a"}]}, {"a", "b"}),
        ({"batchItemFailures": "a"}, {"a", "b"}),
        ([1], {"a", "b"}),
    ],
)
def test_what_a_partial_response_means(payload: Any, failed: set[str]) -> None:
    assert failed_messages(Result(json.dumps(payload).encode(), failed=False), ["a", "b"]) == failed
    assert failed_messages(Result(json.dumps(payload).encode(), failed=True), ["a", "b"]) == {"a", "b"}


def test_chaos_is_chosen_by_name() -> None:
    assert Chaos.parse("") == Chaos()
    assert Chaos.parse("delay, reorder") == Chaos(delay=True, reorder=True)
    with pytest.raises(ValueError, match="explode"):
        Chaos.parse("duplicate,explode")


def test_what_a_killed_worker_of_a_queue_that_delivers_once_had_does_not_return_at_once(once: QueueServer) -> None:
    """It may have been done, and would be done twice. AWS waits for the lease as well, and then it is out of date."""
    worker = RecordingWorker(lambda bodies: Result(b"{}", failed=True), ONCE)

    async def scenario() -> None:
        poller = Poller(once, worker, Console(io.StringIO()), CALM)
        await poller._deliver([{"MessageId": "a", "Body": "a", "MD5OfBody": "", "ReceiptHandle": "none"}])

    # The queue is not even told: it does not know this message.
    asyncio.run(scenario())
    assert len(worker.records) == 1
    attributes = once.client.get_queue_attributes(QueueUrl=once.urls["work"], AttributeNames=["VisibilityTimeout"])[
        "Attributes"
    ]
    assert attributes["VisibilityTimeout"] == str(ONCE.lease_seconds)


def test_a_service_refuses_while_a_file_says_so(tmp_path: Path) -> None:
    refusing = tmp_path / "refusing"
    for server in serving(WORKER, Outage(refusing).around):
        s3 = sqs.client("s3", server.endpoint)
        s3.put_object(Bucket=sqs.BUCKET, Key="a", Body=b"a")
        link = s3.generate_presigned_url("get_object", Params={"Bucket": sqs.BUCKET, "Key": "a"})
        (refusing / "s3").touch()
        with pytest.raises(ClientError) as refused:
            s3.list_objects_v2(Bucket=sqs.BUCKET)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == httpx.get(link).status_code == 503
        assert waiting(server, server.urls["work"]) == 0
        (refusing / "s3").unlink()
        assert httpx.get(link).text == "a"
        s3.delete_object(Bucket=sqs.BUCKET, Key="a")
