"""Calls the real handlers in this process against a real PostgreSQL, each with its own database role."""

import gzip
import itertools
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import SQSBackend, sqs_backends

from contract.functions import load_functions
from contract.openapi import load_handler
from drill.servers import wait_until
from local.events import HttpRequest, HttpResponse, http_event, http_response, message
from local.postgres import Server
from local.routing import Router
from orders import database
from orders.connection import Connection
from orders.errors import MAX_ERRORS
from orders.queues import url_variable

TABLES = [
    "customers", "orders", "order_items", "customer_totals", "customer_total_deltas", "events", "idempotency_keys",
    "seed_runs", "seed_chunks", "outbox", "exports", "webhooks", "webhook_deliveries", "mails", "mail_suppressions",
    "mail_switch",
]  # fmt: skip
ROLE_PASSWORD = "password-of-the-tests"
PROBLEM_JSON = "application/problem+json"

# Lambda's limit for an answer, which the runtime client sends as JSON with its body escaped.
MAX_ANSWER_BYTES = 6 * 1024 * 1024

request_numbers = itertools.count(1)


# Per request, the positional and keyword arguments of Service.http.
Requests = list[tuple[tuple[Any, ...], dict[str, Any]]]


class LambdaContext:
    """What Lambda tells a function about its invocation."""

    function_name = "test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:test"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, seconds: float) -> None:
        self.milliseconds = int(seconds * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        body = gzip.decompress(response.body) if ("content-encoding", "gzip") in response.headers else response.body
        return cls(response.status, dict(response.headers), body.decode())

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Database:
    """A separate database on a server; sql() acts as its owner."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = server.connect(timeout=30)

    @classmethod
    def create(cls, server: Server, name: str) -> "Database":
        connection = server.connect("postgres")
        connection.run(f"CREATE DATABASE {name}")
        connection.close()
        return cls(replace(server, database=name))

    def connect(self, user: str) -> Connection:
        """Connects as one of the functions' roles."""
        return replace(self.server, user=user, password=ROLE_PASSWORD).connect(timeout=30)

    def kill(self, connection: Connection) -> None:
        """Ends a connection as a client's death does, and waits until the server has noticed: it holds its locks until then."""
        [[backend]] = connection.run("SELECT pg_backend_pid()")
        connection.abandon()
        is_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = :backend"
        wait_until(lambda: not self.value(is_there, backend=backend), "The end of a killed client's connection")

    def sql(self, statement: str, **params: Any) -> list[list[Any]]:
        return self.connection.run(statement, **params)

    def value(self, statement: str, **params: Any) -> Any:
        return self.sql(statement, **params)[0][0]

    def rows_scanned(self) -> dict[str, int]:
        """By table, what sequential scans have read. It only grows within a transaction, and may begin above zero."""
        read = "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables"
        return dict(self.sql(read))

    @property
    def environment(self) -> dict[str, str]:
        return {**self.server.environment, "DATABASE_ROLE_PASSWORD": ROLE_PASSWORD}

    def empty(self) -> None:
        """Truncates what a test has written to; all tables together take longer than most tests."""
        self.sql("UPDATE audit_progress SET part = DEFAULT, last_id = DEFAULT")
        written = "SELECT string_agg(name, ', ') FROM unnest(:tables::text[]) AS name WHERE pg_relation_size(name) > 0"
        if tables := self.value(written, tables=TABLES):
            # What refers to them is empty, or one of them.
            self.sql(f"TRUNCATE {tables} CASCADE")


class Service:
    """The functions of the service. One connection per role is kept, as in an execution environment."""

    def __init__(self) -> None:
        self.functions = {function.name: function for function in load_functions()}
        self.router = Router(self.functions.values())
        self.modules: dict[str, Any] = {}
        self.connections: dict[str, Connection | None] = {}

    def module(self, function: str) -> Any:
        if function not in self.modules:
            self.modules[function] = load_handler(function)
        return self.modules[function]

    def invoke(self, function: str, event: Mapping[str, Any], context: LambdaContext | None = None) -> Any:
        """The handler's answer to an event, with the database role that it has when deployed."""
        handler = self.module(function).handler
        with self.role(self.functions[function].database_user):
            return handler(event, context or LambdaContext(self.functions[function].timeout_seconds))

    def close(self) -> None:
        for connection in self.connections.values():
            if connection is not None:
                connection.abandon()
        self.connections.clear()

    @contextmanager
    def role(self, user: str) -> Iterator[None]:
        former = {name: os.environ[name] for name in ("DATABASE_USER", "DATABASE_PASSWORD")}
        if user != "owner":
            os.environ |= {"DATABASE_USER": user, "DATABASE_PASSWORD": ROLE_PASSWORD}
        database._connection = self.connections.get(user)
        try:
            yield
        finally:
            self.connections[user] = database._connection
            os.environ |= former

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | str = "",
        headers: Mapping[str, str] | None = None,
        subject: str | None = None,
        scope: str | None = None,
        context: LambdaContext | None = None,
    ) -> Answer:
        """An HTTP request. body: text or bytes as they are, anything else as JSON. subject and scope: the token's,
        if there is one.

        The content type is application/json unless headers has another; an empty one sends none.
        """
        request = http_request(method, path, body, query=query, headers=headers or {})
        match = self.router.match(method, request.raw_path)
        if match is None:
            return Answer.of(message(404, "Not Found"))
        claims = {name: value for name, value in (("sub", subject), ("scope", scope)) if value is not None}
        authorizer = {"jwt": {"claims": claims, "scopes": []}} if claims else None
        event = http_event(request, match.route_key, match.path_parameters, f"request-{next(request_numbers)}", authorizer)
        result = self.invoke(match.function, event, context)
        text = result.get("body") or ""
        # Measuring takes longer than some requests, and a character takes at most twelve bytes.
        assert len(text) < MAX_ANSWER_BYTES // 12 or len(json.dumps(result)) <= MAX_ANSWER_BYTES
        return Answer.of(http_response(result))

    # Shortcuts to what most tests need.

    def customer(self, email: str = "alice@example.com", name: str = "Alice") -> dict[str, Any]:
        return created(self.http("POST", "/api/customers/", {"email": email, "name": name}))

    def order(self, customer_id: int, *items: tuple[int, int], status: str = "pending") -> dict[str, Any]:
        """items: pairs of quantity and unit price in cents."""
        lines = [
            {"sku": f"SKU-{n}", "quantity": item[0], "unit_price_cents": item[1]} for n, item in enumerate(items or [(2, 150)])
        ]
        order = created(self.http("POST", "/api/orders/", {"customer_id": customer_id, "items": lines}))
        for action in {"pending": [], "cancelled": ["cancel"]}.get(status, ["pay", "ship", "deliver"]):
            if order["status"] == status:
                break
            order = self.act(order["id"], action).json
        return order

    def act(self, order_id: int, action: str, **options: Any) -> Answer:
        return self.http("POST", f"/api/orders/{order_id}/{action}/", **options)

    def seed(self, **numbers: int) -> str:
        """Starts a seed run, lets the worker finish it, and returns its path."""
        answer = self.http("POST", "/api/dev/seed/", numbers)
        assert answer.status == 202, answer.text
        self.work_off_queue()
        return answer.headers["location"]

    def relay(self) -> int:
        """Runs the relay until nothing is due; returns how many messages it sent."""
        sent = 0
        # Too little time for a second round, so that none waits for new rows.
        while count := self.invoke("relay_outbox", {}, LambdaContext(30))["sent"]:
            sent += count
        return sent

    def work_off_queue(self, worker: str = "run_seed_chunk") -> None:
        queue = self.functions[worker].queue
        assert queue is not None
        self.relay()
        while event := receive(queue.name):
            failures = self.invoke(worker, event)["batchItemFailures"]
            assert failures == [], failures
            delete(event, queue.name)


def http_request(
    method: str, path: str, body: Any, *, query: Mapping[str, Any] | str, headers: Mapping[str, str]
) -> HttpRequest:
    """What the gateway receives when a client sends this."""
    given = {"host": "orders.example.com", **{name.lower(): value for name, value in headers.items()}}
    data = b""
    if body is not None:
        if not given.setdefault("content-type", "application/json"):
            del given["content-type"]
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        data = text.encode() if isinstance(text, str) else text
    query = query if isinstance(query, str) else urlencode(query, doseq=True)
    return HttpRequest(method, quote(path), query, list(given.items()), data, scheme=given.get("x-forwarded-proto", "https"))


def assert_problem(answer: Answer, status: int, *fields: str) -> dict[str, Any]:
    """Every refusal has this form; fields: what `errors` must name."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_JSON
    problem: dict[str, Any] = answer.json
    assert problem.keys() - {"errors"} == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert [error["field"] for error in problem.get("errors", [])] == list(fields)
    assert len(problem.get("errors", [])) <= MAX_ERRORS
    # The last three are phrases of Python's and pydantic's.
    for secret in ("SELECT", "Traceback", "relation", "127.0.0.1", "pg8000", "Input should", "Exceeds the limit", "Expecting"):
        assert secret not in answer.text
    return problem


@cache
def queue_client() -> Any:
    """Making one takes longer than what it is then asked to do."""
    return boto3.client("sqs")


def receive(queue: str = "seeding") -> dict[str, Any] | None:
    """Up to ten messages of a queue as an event of Lambda's, or None if the queue is empty."""
    url = os.environ[url_variable(queue)]
    # Most often it is, and a request takes longer than to look into moto, which is in this process.
    if not any(message.visible for message in list(of_moto().get_queue(url.rpartition("/")[2])._messages)):
        return None
    messages = (
        queue_client()
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
        .get("Messages", [])
    )
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


def delete(event: dict[str, Any], queue: str = "seeding") -> None:
    for record in event["Records"]:
        queue_client().delete_message(QueueUrl=os.environ[url_variable(queue)], ReceiptHandle=record["receiptHandle"])


def empty_queues() -> None:
    """Also of what a test has received and not deleted, which would come back in the middle of another one 30 seconds later.

    Asks moto itself, in this process: a request per queue takes longer than some tests.
    """
    for name, queue in list(of_moto().queues.items()):
        # Otherwise it allows this once a minute.
        queue.last_purged_at = None
        of_moto().purge_queue(name)


def of_moto() -> SQSBackend:
    """Where moto keeps the queues of the tests."""
    backend: SQSBackend = sqs_backends[DEFAULT_ACCOUNT_ID][os.environ["AWS_REGION"]]
    return backend


_service: Service | None = None


def _in_worker(request: tuple[Any, ...], options: dict[str, Any]) -> Answer:
    global _service
    _service = _service or Service()
    return _service.http(*request, **options)


class Clients:
    """Concurrent requests, each from its own process with its own database connection."""

    def __init__(self, processes: int) -> None:
        # One process imports this module, and the others are its copies.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.pool = ProcessPoolExecutor(processes, mp_context=context)

    def http(self, requests: Requests) -> list[Answer]:
        """The answers in the order of the requests."""
        return [future.result() for future in [self.submit(request) for request in requests]]

    def submit(self, request: tuple[tuple[Any, ...], dict[str, Any]]) -> Future[Answer]:
        return self.pool.submit(_in_worker, *request)


def created(answer: Answer) -> dict[str, Any]:
    assert answer.status == 201, answer.text
    document: dict[str, Any] = answer.json
    return document
