"""The checker: plain SQL and the clients' journals, and nothing of the service's code.

It knows tables and columns, which a customer's database administrator would know as well.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from contract.functions import OPENAPI
from drill.history import History, plain, replay
from drill.journal import Attempt, Journal, Operation
from drill.stage import UNREACHABLE, Stage
from orders.connection import Connection

# A finding is told at most so often: one cause has many effects.
MOST_TOLD = 5
# More often than anything is sent again: in the end the drill itself cuts leases short.
LEASES_CUT_SHORT = 10**6

# What is wrong at any moment, also while everything fails. Each row found is a finding.
ALWAYS = {
    "an order's total and number of items are those of its items": """
        SELECT 'order ' || o.id || ' has ' || o.total_cents || ' cents, its items '
            || coalesce(sum(i.quantity * i.unit_price_cents), 0)
        FROM orders AS o LEFT JOIN order_items AS i ON i.order_id = o.id
        GROUP BY o.id
        HAVING o.total_cents <> coalesce(sum(i.quantity * i.unit_price_cents), 0) OR o.item_count <> count(i.id)""",
    "a customer's totals are those of the customer's orders": """
        SELECT 'customer ' || c.id || ' has ' || coalesce(t.spent_cents + d.spent_cents, -1) || ' cents, the orders '
            || o.spent_cents
        FROM customers AS c
        LEFT JOIN customer_totals AS t ON t.customer_id = c.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(order_count), 0) AS order_count, coalesce(sum(item_count), 0) AS item_count,
                coalesce(sum(spent_cents), 0) AS spent_cents
            FROM customer_total_deltas WHERE customer_id = c.id
        ) AS d
        CROSS JOIN LATERAL (
            SELECT count(*) AS order_count, coalesce(sum(item_count), 0) AS item_count,
                coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0) AS spent_cents
            FROM orders WHERE customer_id = c.id
        ) AS o
        WHERE (t.order_count + d.order_count, t.item_count + d.item_count, t.spent_cents + d.spent_cents)
            IS DISTINCT FROM (o.order_count, o.item_count, o.spent_cents)""",
    "an order is what its last events say": """
        SELECT 'order ' || o.id || ' is ' || o.status || ' with ' || o.total_cents || ' cents, by its events ' || e.status
            || ' with ' || e.total_cents
        FROM (
            SELECT order_id,
                (array_agg(changes -> 'status' ->> 1 ORDER BY id DESC)
                    FILTER (WHERE changes -> 'status' IS NOT NULL))[1] AS status,
                (array_agg(changes -> 'total_cents' ->> 1 ORDER BY id DESC)
                    FILTER (WHERE changes -> 'total_cents' IS NOT NULL))[1]::bigint AS total_cents
            FROM order_events GROUP BY order_id
        ) AS e
        JOIN orders AS o ON o.id = e.order_id
        WHERE (o.status, o.total_cents) IS DISTINCT FROM (e.status, e.total_cents)""",
    "a request changes an order once": """
        SELECT 'request ' || request_id || ' made ' || count(*) || ' events' FROM order_events
        GROUP BY request_id HAVING count(*) > 1""",
    "a message is sent again only when its lease has ended": """
        SELECT 'outbox row ' || id || ' was sent ' || sends || ' times within ' || (now() - created_at) FROM outbox
        WHERE sends > :starts::integer + extract(epoch FROM now() - created_at) / 60""",
    "nobody waits inside of a transaction": """
        SELECT usename || ' has been idle in a transaction for ' || (clock_timestamp() - state_change) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND usename LIKE 'orders\\_%'
          AND clock_timestamp() - state_change > interval '2 seconds'""",
}
EVENTS = """
SELECT order_id, type, request_id, changes::text FROM order_events WHERE order_id = ANY (:orders::bigint[]) ORDER BY id
"""
# What nobody asked for. Of a seed run is who has its id in the address; by hand, what the person at the database made.
CUSTOMERS = "SELECT email, id FROM customers WHERE email !~ '@([0-9a-f-]{36}|hand|probe|start)\\.example\\.com$'"
ORDERS = """
SELECT o.id, o.customer_id, o.status, i.sku, i.quantity, i.unit_price_cents
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id
LEFT JOIN order_items AS i ON i.order_id = o.id
WHERE c.email !~ '@([0-9a-f-]{36}|hand)\\.example\\.com$'
ORDER BY o.id, i.id
"""
SEEDED = """
SELECT r.id::text, r.cancelled_at IS NOT NULL, r.failed_at IS NOT NULL, r.error,
    (SELECT count(*) FROM seed_chunks AS k WHERE k.run_id = r.id AND k.finished_at IS NULL),
    (SELECT coalesce(sum(row_count), 0) FROM seed_chunks AS k WHERE k.run_id = r.id AND k.finished_at IS NOT NULL),
    (SELECT count(*) FROM customers AS c WHERE c.email LIKE '%@' || r.id || '.example.com')
    + (SELECT coalesce(sum(1 + o.item_count), 0) FROM orders AS o JOIN customers AS c ON c.id = o.customer_id
       WHERE c.email LIKE '%@' || r.id || '.example.com'),
    (SELECT count(*) FROM seed_chunks AS k
     WHERE k.run_id = r.id AND k.finished_at > r.cancelled_at + interval '10 seconds')
FROM seed_runs AS r
"""


@dataclass
class Verdict:
    """How often what was checked, and what was found."""

    checked: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, check: str, findings: list[str], times: int = 1) -> None:
        self.checked[check] += times
        if findings:
            self.findings[check] += findings

    @property
    def clean(self) -> bool:
        return not self.findings


def check_snapshot(connection: Connection, verdict: Verdict, starts: int) -> None:
    """All of ALWAYS, of one and the same moment. starts: of the cloud, at each of which it sends everything again."""
    connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for name, statement in ALWAYS.items():
        verdict.note(name, [row[0] for row in connection.run(statement, starts=starts)])
    connection.run("COMMIT")


class FinalCheck:
    """After the load has ended and everything has come to rest."""

    def __init__(self, stage: Stage, journal: Journal, verdict: Verdict) -> None:
        self.stage, self.journal, self.verdict = stage, journal, verdict
        self.connection = stage.connect()
        self.orders: dict[int, list[list[Any]]] = defaultdict(list)
        for row in self.connection.run(ORDERS):
            self.orders[row[0]].append(row)
        self.by_marker: dict[str, list[int]] = defaultdict(list)
        for number, rows in self.orders.items():
            for row in rows[:1]:
                self.by_marker[row[3]].append(number)

    def run(self) -> None:
        check_snapshot(self.connection, self.verdict, LEASES_CUT_SHORT)
        checks: list[Callable[[], None]] = [
            self.answers,
            self.endings,
            self.created_orders,
            self.added_items,
            self.customers,
            self.seeds,
            self.histories,
            self.summary,
            self.timeouts,
        ]
        for check in checks:
            check()
        self.connection.close()

    def answers(self) -> None:
        """Only statuses of the contract; the gateway's own 500 only while a function was being killed."""
        statuses = {
            operation["operationId"]: {int(status) for status in operation["responses"] if status != "default"}
            for path in json.loads(OPENAPI.read_text())["paths"].values()
            for operation in path.values()
        }
        attempts = self.journal.attempts()
        wrong = [
            f"{operation}: {attempt.status} {attempt.document}"
            for operation, attempt in attempts
            if attempt.status is not None
            and attempt.status not in statuses[operation.operation_id] | {429}
            and not (attempt.status == 500 and self._was_killed(attempt))
        ]
        self.verdict.note("every answer is one of the contract", wrong, len(attempts))
        surprising = [
            f"{operation}: {attempt.status} instead of {operation.expected}"
            for operation, attempt in attempts
            if operation.expected is not None and attempt.decided and attempt.status != operation.expected
        ]
        self.verdict.note("a key that was used with another body is refused", surprising, len(attempts))

    def _was_killed(self, attempt: Attempt) -> bool:
        return any(begun <= attempt.ended and attempt.begun <= ended for begun, ended in self.stage.killed)

    def endings(self) -> None:
        asked = [operation for operation in self.journal.operations if operation.repeatable]
        self.verdict.note(
            "who asks again is told in the end",
            [f"{operation}: was never answered" for operation in asked if operation.answer is None],
            len(asked),
        )

    def created_orders(self) -> None:
        lost, doubled, other = [], [], []
        made = self.journal.of("create_order")
        for operation in made:
            numbers = self.by_marker.get(operation.marker or "", [])
            if operation.succeeded and not numbers:
                lost.append(f"{operation}: acknowledged, and is not there")
            if len(numbers) > 1:
                doubled.append(f"{operation}: is there {len(numbers)} times")
            if operation.answer is not None and operation.succeeded and operation.expected is None:
                if numbers and operation.answer.document["id"] not in numbers:
                    other.append(f"{operation}: was told of order {operation.answer.document['id']}, and is {numbers}")
            elif operation.answer is not None and operation.expected is None and numbers:
                other.append(f"{operation}: refused with {operation.answer.status}, and is there")
        self.verdict.note("no acknowledged order is lost", lost, len(made))
        self.verdict.note("no order is there twice", doubled, len(made))
        self.verdict.note("an answer is about what was made", other, len(made))
        markers = {operation.marker for operation in made}
        foreign = [
            f"order {number}: nobody asked for it"
            for marker in self.by_marker.keys() - markers
            for number in self.by_marker[marker]
        ]
        self.verdict.note("no row that nobody asked for", foreign, len(self.orders))

    def added_items(self) -> None:
        events = Counter(
            json.loads(changes)["item"][1]["sku"]
            for _, event_type, _, changes in self._events()
            if plain(event_type) == "item_added"
        )
        made = [operation for operation in self.journal.of("add_order_item") if operation.expected is None]
        wrong = [
            f"{operation}: acknowledged {int(operation.succeeded)}, added {events[operation.marker or '']} times"
            for operation in made
            if operation.answer is not None and events[operation.marker or ""] != int(operation.succeeded)
        ]
        self.verdict.note("an item is added once or, if refused, never", wrong, len(made))

    def customers(self) -> None:
        there = dict(self.connection.run(CUSTOMERS))
        deleted = {operation.marker: operation for operation in self.journal.of("delete_customer")}
        wrong = []
        made = self.journal.of("create_customer")
        for operation in made:
            address = f"{operation.marker}@drill.example.com"
            if operation.answer is None or operation.marker in deleted:
                there.pop(address, None)
            elif not operation.succeeded:
                wrong.append(f"{operation}: refused with {operation.answer.status}, although nobody else has this address")
            elif there.pop(address, None) != operation.answer.document["id"]:
                wrong.append(f"{operation}: acknowledged, and is not there")
        wrong += [f"customer {number}: nobody asked for {address}" for address, number in there.items()]
        self.verdict.note("each customer is there once", wrong, len(made))

    def seeds(self) -> None:
        wrong = []
        runs = {
            operation.answer.document["id"]
            for operation in self.journal.of("start_seed")
            if operation.answer and operation.succeeded
        }
        stored = self.connection.run(SEEDED)
        for run, cancelled, failed, error, unfinished, promised, rows, late in stored:
            if run not in runs and all(operation.answer for operation in self.journal.of("start_seed")):
                wrong.append(f"seed run {run}: nobody asked for it")
            if failed:
                wrong.append(f"seed run {run} failed: {error}")
            elif unfinished and not cancelled:
                wrong.append(f"seed run {run}: {unfinished} chunks were never made")
            if promised != rows:
                wrong.append(f"seed run {run}: has {rows} rows, its finished chunks {promised}")
            if late:
                wrong.append(f"seed run {run}: {late} chunks were made long after it had been cancelled")
        wrong += [f"seed run {run}: acknowledged, and is not there" for run in runs - {row[0] for row in stored}]
        self.verdict.note("every chunk of a seed run is made once", wrong, len(stored))
        waiting = self.connection.run("SELECT count(*) FROM outbox")[0][0]
        self.verdict.note("the outbox is empty in the end", [f"{waiting} rows are left"] if waiting else [])

    def _events(self) -> list[list[Any]]:
        return self.connection.run(EVENTS, orders=list(self.orders))

    def histories(self) -> None:
        events: dict[int, list[list[Any]]] = defaultdict(list)
        for order_id, event_type, request_id, changes in self._events():
            events[order_id].append([event_type, request_id, json.loads(changes)])
        about: dict[int, list[Operation]] = defaultdict(list)
        created: dict[int, dict[str, Any]] = {}
        for operation in self.journal.operations:
            if operation.order_id is not None:
                about[operation.order_id].append(operation)
            elif operation.operation_id == "create_order" and operation.answer is not None and operation.succeeded:
                created.setdefault(operation.answer.document["id"], operation.answer.document)
        broken, unexplained = [], []
        for number, document in created.items():
            versions, wrong = replay(document, events[number])
            if versions and (rows := self.orders.get(number)):
                items = sorted((row[3], row[4], row[5]) for row in rows if row[3] is not None)
                if (rows[0][2], items) != (versions[-1].status, sorted(versions[-1].items.values())):
                    wrong.append("its rows are not what its history leads to")
            broken += [f"order {number}: {text}" for text in wrong]
            if versions:
                unexplained += History(versions, about[number]).complaints()
        self.verdict.note("each order's events replayed give its rows", broken, len(created))
        judged = sum(len(operation.attempts) for operations in about.values() for operation in operations)
        self.verdict.note("every answer about an order fits its history", unexplained, judged)

    def summary(self) -> None:
        """As a client reads it, page by page, compared with a recount."""
        self._leave_a_delta()
        told: dict[int, tuple[int, int, int]] = {}
        path = "/api/orders/summary/?limit=200"
        with httpx.Client(base_url=self.stage.url, timeout=20) as http:
            while path:
                page = http.get(path).json()
                for row in page["results"]:
                    told[row["customer_id"]] = (row["order_count"], row["item_count"], row["total_spent_cents"])
                path = page["next"]
        counted = {
            row[0]: (row[1], int(row[2]), int(row[3]))
            for row in self.connection.run(
                "SELECT c.id, count(o.id), coalesce(sum(o.item_count), 0),"
                " coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)"
                " FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id GROUP BY c.id"
            )
        }
        wrong = [
            f"customer {number}: {told.get(number)} instead of {row}"
            for number, row in counted.items()
            if told.get(number) != row
        ]
        self.verdict.note("the summary is what a recount gives", wrong, len(counted))

    def _leave_a_delta(self) -> None:
        """Somebody writes an order while somebody else has the customer's totals: what is to be added waits aside."""
        statement = "INSERT INTO customers (email, name) VALUES ('delta@hand.example.com', 'hand') RETURNING id"
        [[customer]] = self.connection.run(statement)
        self.connection.run("BEGIN")
        self.connection.run("SELECT FROM customer_totals WHERE customer_id = :customer FOR UPDATE", customer=customer)
        self.stage.sql("INSERT INTO orders (customer_id) VALUES (:customer)", customer=customer)
        self.connection.run("COMMIT")

    def timeouts(self) -> None:
        """A function that is cut off by its timeout has told nobody what became of the request."""
        slow = [line.strip() for line in self.stage.output() if "Task timed out" in line]
        self.verdict.note("no function runs into its timeout", slow)


def try_snapshot(stage: Stage, verdict: Verdict) -> bool:
    """Whether the database could be asked."""
    with suppress(*UNREACHABLE):
        with stage.session() as connection:
            connection.set_timeout(30)
            check_snapshot(connection, verdict, stage.starts)
        return True
    return False
