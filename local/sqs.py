"""The queues and the bucket of exports, which are moto's, and for each worker a poller like Lambda's event source mapping.

Messages are delivered at least once, in no particular order. moto's queue never repeats or reorders them, so the poller can be
told to (`Chaos`).
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sqs.models import sqs_backends
from werkzeug.serving import make_server

from contract.functions import Function
from local import moto_fixes
from local.console import Console
from local.guard import Guard
from local.mail import Application
from local.runtime import ACCOUNT, MAX_ENVIRONMENTS, REGION, FunctionPool, Result

# How many batches a worker handles at once: one per core of a small laptop, and more where it waits for others' servers.
CONCURRENT_BATCHES, CONCURRENT_BATCHES_OUTSIDE = 2, MAX_ENVIRONMENTS
# Instead of long polling, during which moto looks a hundred times per second: two per cent of a core for each idle queue.
LOOK_SECONDS = 0.1
# Failed messages return after this instead of the visibility timeout, for which no developer wants to wait.
RETRY_SECONDS = 2
DELAY_SECONDS = 1.0
BUCKET = "orders-exports"
# Of a queue that delivers once. The same message within five minutes is one message.
ONCE = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
DUPLICATES = 2


@dataclass(frozen=True)
class Chaos:
    """What the queue may do to messages, as SQS does now and then."""

    duplicate: bool = False
    delay: bool = False
    reorder: bool = False

    @classmethod
    def parse(cls, text: str) -> "Chaos":
        """From words separated by commas. Raises ValueError for an unknown word."""
        words = {word.strip() for word in text.split(",") if word.strip()}
        if unknown := words - {"duplicate", "delay", "reorder"}:
            raise ValueError(f"QUEUE_CHAOS knows duplicate, delay and reorder, not {', '.join(sorted(unknown))}")
        return cls(**dict.fromkeys(words, True))


class QueueServer:
    """SQS with each worker's queue and its dead-letter queue; their URLs by the queue's name. And S3 with the bucket.

    around: what to put around moto's application, if anything.
    """

    def __init__(self, workers: Iterable[Function], around: Callable[[Application], Application] = lambda moto: moto) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto_fixes.apply()
        # moto's own server would answer any page, since it reflects every origin.
        moto = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, moto, threaded=True, request_handler=MotoRequestHandler)
        self.server.app = guarded(around(moto), Guard.of_port(self.server.port))
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.port}"
        self.client = client("sqs", self.endpoint)
        s3 = client("s3", self.endpoint)
        # All of moto's servers in one process share what they store.
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.urls: dict[str, str] = {}
        self.dead_letter_urls: dict[str, str] = {}
        for worker in workers:
            self._create(worker)

    def _create(self, worker: Function) -> None:
        assert worker.queue is not None
        name, suffix = worker.queue.name, worker.queue.suffix
        kind = ONCE if worker.queue.once else {}
        dead = self.client.create_queue(QueueName=f"orders-{name}-dead-letters{suffix}", Attributes=kind)["QueueUrl"]
        arn = self.client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{worker.queue.max_receives}}}'
        # As on AWS where a message must not return while it could still be sent; otherwise sooner, for nobody wants to wait.
        seconds = worker.lease_seconds if worker.queue.once else worker.timeout_seconds
        attributes = {"VisibilityTimeout": str(seconds), "RedrivePolicy": redrive, **kind}
        self.urls[name] = self.client.create_queue(QueueName=f"orders-{name}{suffix}", Attributes=attributes)["QueueUrl"]
        self.dead_letter_urls[name] = dead

    def has_waiting(self, name: str) -> bool:
        """Whether the queue could deliver a message now."""
        messages = sqs_backends[ACCOUNT][REGION].get_queue(self.urls[name].rpartition("/")[2])._messages
        return any(message.visible and not message.delayed for message in list(messages))

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def guarded(application: Application, guard: Guard) -> Application:
    """A WSGI application behind a guard."""

    def application_or_refusal(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def header(name: str) -> str | None:
            return environ.get(f"HTTP_{name.upper().replace('-', '_')}")

        if guard.refusal(environ["REQUEST_METHOD"], header):
            start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return []
        return application(environ, start_response)

    return application_or_refusal


class Poller:
    """Hands batches of messages to the worker and deletes those that it did not report as failed."""

    def __init__(self, queue: QueueServer, worker: FunctionPool, console: Console, chaos: Chaos) -> None:
        assert worker.definition.queue is not None
        self.server, self.name = queue, worker.definition.queue.name
        self.client, self.url = queue.client, queue.urls[self.name]
        self.worker = worker
        self.batch_size, self.once = worker.definition.queue.batch_size, worker.definition.queue.once
        self.console = console
        self.chaos = chaos
        most = CONCURRENT_BATCHES if worker.definition.has_database else CONCURRENT_BATCHES_OUTSIDE
        self.batches = min(most, worker.definition.queue.max_concurrency)
        self.tasks: list[asyncio.Task[None]] = []
        # One looks for all of them.
        self.looking = asyncio.Lock()

    def start(self) -> None:
        self.tasks = [asyncio.create_task(self._poll()) for _ in range(self.batches)]

    async def stop(self) -> None:
        """Stops at once, as a crash would: messages in flight return when they become visible again."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _poll(self) -> None:
        while True:
            try:
                async with self.looking:
                    messages = await self._look()
                if messages:
                    await self._deliver(messages)
            except Exception as reason:
                self.console.problem("queue", f"{type(reason).__name__}: {reason}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _look(self) -> list[dict[str, Any]]:
        if self.server.has_waiting(self.name):
            return await asyncio.to_thread(self._receive)
        await asyncio.sleep(LOOK_SECONDS)
        return []

    async def _deliver(self, messages: list[dict[str, Any]]) -> None:
        if self.chaos.delay:
            await asyncio.sleep(random.uniform(0, DELAY_SECONDS))  # noqa: S311 - no secret
        if self.chaos.reorder:
            random.shuffle(messages)
        event = {"Records": [_record(message, self.name) for message in messages]}
        deliveries = DUPLICATES if self.chaos.duplicate and not self.once else 1
        results = await asyncio.gather(*(self.worker.invoke(event) for _ in range(deliveries)))
        if self.once and results[0].failed:
            # What a worker did that was killed is unknown. Its batch returns in its own time.
            return
        failed = failed_messages(results[0], [message["MessageId"] for message in messages])
        await asyncio.to_thread(self._settle, messages, failed)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=self.batch_size,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [dict(message) for message in answer.get("Messages", [])]

    def _settle(self, messages: list[dict[str, Any]], failed: set[str]) -> None:
        done: list[dict[str, str]] = []
        for number, message in enumerate(messages):
            handle = message["ReceiptHandle"]
            if message["MessageId"] in failed:
                self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=RETRY_SECONDS)
            else:
                done.append({"Id": str(number), "ReceiptHandle": handle})
        if done:
            self.client.delete_message_batch(QueueUrl=self.url, Entries=done)


def failed_messages(result: Result, ids: list[str]) -> set[str]:
    """The ids that return to the queue. As in Lambda, anything but a well-formed partial response means all of them."""
    if result.failed:
        return set(ids)
    try:
        reported = [failure["itemIdentifier"] for failure in (result.json or {}).get("batchItemFailures") or []]
    except (AttributeError, KeyError, TypeError):
        return set(ids)
    return set(reported) if set(reported) <= set(ids) else set(ids)


def client(service: Any, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto requires one but ignores it
        config=Config(retries={"max_attempts": 2}, max_pool_connections=CONCURRENT_BATCHES_OUTSIDE + 2),
    )


def _record(message: dict[str, Any], queue: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders-{queue}",
        "awsRegion": REGION,
    }
