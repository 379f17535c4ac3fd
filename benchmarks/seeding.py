"""The service's own seeding: its request, the relay, its queue (moto's SQS) and its worker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from benchmarks.events import start_seed
from benchmarks.workers import OURS, Worker
from contract.edge import leases
from contract.functions import load_functions

WORKER = next(function for function in load_functions() if function.name == "run_seed_chunk")
assert WORKER.queue is not None
BATCH_SIZE = WORKER.queue.batch_size
ORDERS_PER_CUSTOMER, ITEMS_PER_ORDER = 10, 3
ROWS_PER_CUSTOMER = 1 + ORDERS_PER_CUSTOMER * (1 + ITEMS_PER_ORDER)


@contextmanager
def queue() -> Iterator[None]:
    """Sets the queue's address in the environment, where the functions read it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "bench"))
    os.environ.update(AWS_DEFAULT_REGION="eu-central-1", AWS_ENDPOINT_URL_SQS=f"http://{host}:{port}", QUEUE_MAX_RECEIVES="3")
    os.environ["QUEUE_LEASES"] = leases([WORKER])
    os.environ["SEEDING_QUEUE_URL"] = boto3.client("sqs").create_queue(QueueName="bench")["QueueUrl"]
    os.environ["SEED_MAX_UNFINISHED_ROWS"] = "1000000000"
    yield
    server.stop()


class Seeder:
    """The three functions of a seed run, in warm processes. database: how to connect as orders_seeder."""

    def __init__(self, database: dict[str, str], log: Path, workers: int = 1) -> None:
        self.log = log
        self.starter = OURS.start(database, log, "start_seed")
        self.relay = OURS.start({**database, "DATABASE_USER": "orders_relay"}, log, "relay_outbox")
        self.workers = [OURS.start(database, log, "run_seed_chunk") for _ in range(workers)]

    def seed(self, customers: int) -> Iterator[float]:
        """Runs a seed run to its end; yields the time of each function call in seconds."""
        yield from self.queue(customers)
        yield from self.work_off(self.workers[0])

    def queue(self, customers: int) -> Iterator[float]:
        report = self.starter.call(OURS.message(start_seed(customers, ORDERS_PER_CUSTOMER, ITEMS_PER_ORDER)))
        assert report.answer["statusCode"] == 202, report.answer
        yield report.seconds
        sent = 1
        while sent:
            report = self.relay.call({"function": "relay_outbox", "event": {}})
            sent = report.answer["sent"]
            yield report.seconds

    def work_off(self, worker: Worker) -> Iterator[float]:
        sqs = boto3.session.Session().client("sqs")
        while event := _receive(sqs):
            report = worker.call({"function": "run_seed_chunk", "event": event, "timeout": WORKER.timeout_seconds})
            assert report.answer["batchItemFailures"] == [], self.log.read_text()
            for record in event["Records"]:
                sqs.delete_message(QueueUrl=os.environ["SEEDING_QUEUE_URL"], ReceiptHandle=record["receiptHandle"])
            yield report.seconds

    def stop(self) -> None:
        for function in (self.starter, self.relay, *self.workers):
            function.stop()


def _receive(sqs: Any) -> dict[str, Any] | None:
    """Up to a batch of messages as an event of Lambda's, or None if the queue is empty."""
    messages = sqs.receive_message(
        QueueUrl=os.environ["SEEDING_QUEUE_URL"], MaxNumberOfMessages=BATCH_SIZE, MessageSystemAttributeNames=["All"]
    ).get("Messages", [])
    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "eventSource": "aws:sqs",
        }
        for message in messages
    ]
    return {"Records": records} if records else None
