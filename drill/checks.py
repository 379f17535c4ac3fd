"""The checker: plain SQL and the clients' journals, and nothing of the service's code.

It knows tables and columns, which a customer's database administrator would know as well, and the contract's statuses.
"""

import json
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from contract.functions import OPENAPI
from drill.clients import MISUNDERSTOOD, World
from drill.clock import JUMP_SECONDS, Clock
from drill.history import History, replay
from drill.journal import Attempt, Journal, Operation
from drill.parts import ALWAYS, CHECKS, UNFINISHED, check
from drill.stage import UNREACHABLE, Stage
from orders.connection import Connection

# A finding is told at most so often: one cause has many effects.
MOST_TOLD = 5
# Of those functions that clients call; they answer just before.
DEADLINE_SECONDS = 9
READ_SECONDS = 20
# More often than anything is sent again: in the end the drill itself cuts leases short.
LEASES_CUT_SHORT = 10**6
# They read every row of an hour's load, on a machine that may be busy.
CHECK_SECONDS = 600

# Also while everything fails.
ALWAYS |= {
    "an order's total and number of items are those of its items": """
        SELECT 'order ' || o.id || ' has ' || o.total_cents || ' cents, its items '
            || coalesce(sum(i.quantity * i.unit_price_cents), 0)
        FROM orders AS o LEFT JOIN order_items AS i ON i.order_id = o.id
        GROUP BY o.id
        HAVING o.total_cents <> coalesce(sum(i.quantity * i.unit_price_cents), 0) OR o.item_count <> count(i.id)""",
    "a customer's totals are those of the customer's orders": """
        SELECT 'customer ' || c.id || ' has ' || coalesce(t.spent_cents + d.spent_cents, -1) || ' cents, the orders '
            || coalesce(o.spent_cents, 0)
        FROM customers AS c
        LEFT JOIN customer_totals AS t ON t.customer_id = c.id
        LEFT JOIN (
            SELECT customer_id, sum(order_count) AS order_count, sum(item_count) AS item_count, sum(spent_cents) AS spent_cents
            FROM customer_total_deltas GROUP BY customer_id
        ) AS pending ON pending.customer_id = c.id
        CROSS JOIN LATERAL (
            SELECT coalesce(pending.order_count, 0) AS order_count, coalesce(pending.item_count, 0) AS item_count,
                coalesce(pending.spent_cents, 0) AS spent_cents
        ) AS d
        LEFT JOIN (
            SELECT customer_id, count(*) AS order_count, sum(item_count) AS item_count,
                coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0) AS spent_cents
            FROM orders GROUP BY customer_id
        ) AS o ON o.customer_id = c.id
        WHERE (t.order_count + d.order_count, t.item_count + d.item_count, t.spent_cents + d.spent_cents)
            IS DISTINCT FROM (coalesce(o.order_count, 0), coalesce(o.item_count, 0), coalesce(o.spent_cents, 0))""",
    "an order is what its last events say": """
        SELECT 'order ' || o.id || ' is ' || o.status || ' with ' || o.total_cents || ' cents, by its events ' || e.status
            || ' with ' || e.total_cents
        FROM (
            SELECT order_id,
                (array_agg(changes -> 'status' ->> 1 ORDER BY sequence DESC)
                    FILTER (WHERE changes -> 'status' IS NOT NULL))[1] AS status,
                (array_agg(changes -> 'total_cents' ->> 1 ORDER BY sequence DESC)
                    FILTER (WHERE changes -> 'total_cents' IS NOT NULL))[1]::bigint AS total_cents
            FROM events WHERE order_id IS NOT NULL GROUP BY order_id
        ) AS e
        JOIN orders AS o ON o.id = e.order_id
        WHERE (o.status, o.total_cents) IS DISTINCT FROM (e.status, e.total_cents)""",
    "a request makes one event": """
        SELECT 'request ' || request_id || ' made ' || count(*) || ' events' FROM events
        GROUP BY request_id HAVING count(*) > 1""",
    "a message is sent again only when its lease has ended": """
        SELECT 'outbox row ' || id || ' was sent ' || sends || ' times within ' || (now() - created_at) FROM outbox
        WHERE sends > :starts::integer + greatest(extract(epoch FROM now() - created_at), 0) / 60""",
    "nobody waits inside of a transaction": """
        SELECT usename || ' has been idle in a transaction for ' || (clock_timestamp() - state_change) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND usename LIKE 'orders\\_%'
          -- An export keeps its snapshot while it speaks to S3.
          AND clock_timestamp() - state_change > make_interval(secs => :doubt::float8) + CASE usename
            WHEN 'orders_exporter' THEN interval '1 minute' ELSE interval '2 seconds' END""",
}
EVENTS = """
SELECT order_id, type, request_id, changes::text FROM events WHERE order_id = ANY (:orders::bigint[])
ORDER BY order_id, sequence
"""
# What nobody asked for. Of a seed run is who has its id in the address; by hand, what the person at the database made.
# People who are erased have a check of their own.
CUSTOMERS = """
SELECT email, id FROM customers
WHERE email !~ '@([0-9a-f-]{36}|hand|probe|start|person)\\.example\\.com$' AND email !~ '^erased-'
"""
ORDERS = """
SELECT o.id, o.customer_id, o.status, i.sku, i.quantity, i.unit_price_cents, o.metadata::text, o.reference
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
     WHERE k.run_id = r.id AND k.finished_at > r.cancelled_at + make_interval(secs => 3 + :jump::float8))
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


@dataclass
class Evidence:
    """After the load has ended and everything has come to rest."""

    stage: Stage
    world: World
    verdict: Verdict

    @property
    def journal(self) -> Journal:
        return self.world.journal

    @cached_property
    def connection(self) -> Connection:
        connection = self.stage.connect()
        connection.set_timeout(CHECK_SECONDS)
        return connection

    @cached_property
    def orders(self) -> dict[int, list[list[Any]]]:
        """Rows of ORDERS by the order's id: one for each item."""
        found: dict[int, list[list[Any]]] = defaultdict(list)
        for row in self.connection.run(ORDERS):
            found[row[0]].append(row)
        return found

    @cached_property
    def by_marker(self) -> dict[str, list[int]]:
        """Ids of orders by the text that their first item carries."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, rows in self.orders.items():
            found[rows[0][3]].append(number)
        return found

    @cached_property
    def events(self) -> dict[int, list[list[Any]]]:
        """Type, request and changes of each event, by order and in their order."""
        found: dict[int, list[list[Any]]] = defaultdict(list)
        for order_id, event_type, request_id, changes in self.connection.run(EVENTS, orders=list(self.orders)):
            found[order_id].append([event_type, request_id, json.loads(changes)])
        return found

    def note(self, check: str, findings: list[str], times: int = 1) -> None:
        self.verdict.note(check, findings, times)

    @cached_property
    def http(self) -> httpx.Client:
        # The service may close an idle connection at any time.
        return httpx.Client(base_url=self.stage.url, timeout=READ_SECONDS, limits=httpx.Limits(max_keepalive_connections=0))

    def read(self, path: str) -> Any:
        """What the service answers, at last: nothing strikes any more, but the last function may have to find that out."""
        until = time.monotonic() + READ_SECONDS
        while (answer := self.http.get(path)).status_code != 200:
            if time.monotonic() > until:
                raise ValueError(f"{path} is answered {answer.status_code}: {answer.text}")
            time.sleep(0.2)
        return answer.json()


def check_snapshot(connection: Connection, verdict: Verdict, clock: Clock, starts: int) -> None:
    """All of ALWAYS, of one and the same moment. starts: of the cloud, at each of which it sends everything again.

    So it may at each jump of the clock.
    """
    connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for name, statement in ALWAYS.items():
        verdict.note(name, [row[0] for row in connection.run(statement, starts=starts + clock.jumps, doubt=clock.doubt)])
    connection.run("COMMIT")


def try_snapshot(stage: Stage, verdict: Verdict) -> bool:
    """Whether the database could be asked."""
    with suppress(*UNREACHABLE):
        with stage.session() as connection:
            connection.set_timeout(30)
            check_snapshot(connection, verdict, stage.clock, stage.starts)
        return True
    return False


def check_all(evidence: Evidence) -> None:
    check_snapshot(evidence.connection, evidence.verdict, evidence.stage.clock, LEASES_CUT_SHORT)
    for judge in CHECKS:
        try:
            judge(evidence)
        except MISUNDERSTOOD as error:
            evidence.world.surprises.append(f"{judge.__name__}: {error!r}")
    evidence.note("every answer can be understood", evidence.world.surprises, len(evidence.journal.operations))
    evidence.connection.close()
    evidence.http.close()


@check
def answers(evidence: Evidence) -> None:
    """Only statuses of the contract; the gateway's own 500 only while a function was being killed."""
    statuses = {
        operation["operationId"]: {int(status) for status in operation["responses"] if status != "default"}
        for path in json.loads(OPENAPI.read_text())["paths"].values()
        for operation in path.values()
    }
    attempts = evidence.journal.attempts()
    wrong = [
        f"{operation}: {attempt.status} {attempt.document}"
        for operation, attempt in attempts
        if attempt.status is not None
        and attempt.status not in statuses[operation.operation_id] | {429}
        and not (attempt.status == 500 and was_killed(evidence.stage, attempt))
    ]
    evidence.note("every answer is one of the contract", wrong, len(attempts))
    expecting = [(operation, attempt) for operation, attempt in attempts if operation.expected is not None]
    surprising = [
        f"{operation}: {attempt.status} instead of {operation.expected}"
        for operation, attempt in expecting
        if attempt.decided and attempt.status != operation.expected
    ]
    evidence.note("another body under a used key, and a used reference, are refused", surprising, len(expecting))


def was_killed(stage: Stage, attempt: Attempt) -> bool:
    return any(begun <= attempt.ended and attempt.begun <= ended for begun, ended in stage.killed)


@check
def endings(evidence: Evidence) -> None:
    asked = [operation for operation in evidence.journal.operations if operation.repeatable]
    never = [f"{operation}: was never answered" for operation in asked if operation.answer is None]
    evidence.note("who asks again is told in the end", never, len(asked))


@check
def created_orders(evidence: Evidence) -> None:
    lost, doubled, other = [], [], []
    made = evidence.journal.of("create_order")
    for operation in made:
        numbers = evidence.by_marker.get(operation.marker or "", [])
        if operation.succeeded and not numbers:
            lost.append(f"{operation}: acknowledged, and is not there")
        if len(numbers) > 1:
            doubled.append(f"{operation}: is there {len(numbers)} times")
        if operation.answer is None or not numbers or operation.expected == 422:
            continue
        if not operation.succeeded:
            other.append(f"{operation}: refused with {operation.answer.status}, and is there")
        elif operation.answer.document["id"] not in numbers:
            other.append(f"{operation}: was told of order {operation.answer.document['id']}, and is {numbers}")
    evidence.note("no acknowledged order is lost", lost, len(made))
    evidence.note("no order is there twice", doubled, len(made))
    evidence.note("an answer is about what was made", other, len(made))
    markers = {operation.marker for operation in made}
    foreign = [
        f"order {number}: nobody asked for it"
        for marker in evidence.by_marker.keys() - markers
        for number in evidence.by_marker[marker]
    ]
    evidence.note("no row that nobody asked for", foreign, len(evidence.orders))


@check
def references(evidence: Evidence) -> None:
    wrong = []
    asked = [operation for operation in evidence.journal.of("list_orders") if operation.about and operation.succeeded]
    for operation in asked:
        assert operation.answer is not None
        found = [order["id"] for order in operation.answer.document["results"]]
        if found != [operation.about]:
            wrong.append(f"{operation}: found {found} instead of {operation.about}")
    for operation in evidence.journal.of("create_order"):
        for number in evidence.by_marker.get(operation.marker or "", []) if operation.expected is None else []:
            wanted = (operation.body or {}).get("reference")
            if (stored := evidence.orders[number][0][7]) != wanted:
                wrong.append(f"{operation}: has the reference {stored}")
    evidence.note("a reference finds its order, at once", wrong, len(asked))


@check
def acknowledged_events(evidence: Evidence) -> None:
    """Where every attempt was answered, so that the requests are known."""
    events = Counter(row[0] for row in evidence.connection.run("SELECT request_id FROM events"))
    made = [
        operation
        for operation in evidence.journal.of("create_order", "create_customer", "add_order_item", "delete_customer")
        if operation.succeeded
        and operation.answer is not None
        and not operation.answer.replayed
        and all(attempt.request_id for attempt in operation.attempts)
    ]
    wrong = [
        f"{operation}: {count} events"
        for operation in made
        if (count := sum(events[attempt.request_id] for attempt in operation.attempts)) != 1
    ]
    evidence.note("an acknowledged creation is one event", wrong, len(made))


@check
def added_items(evidence: Evidence) -> None:
    added = Counter(
        changes["item"][1]["sku"]
        for events in evidence.events.values()
        for event_type, _, changes in events
        if event_type == "order.item_added"
    )
    made = [operation for operation in evidence.journal.of("add_order_item") if operation.expected is None]
    wrong = [
        f"{operation}: acknowledged {int(operation.succeeded)}, added {added[operation.marker or '']} times"
        for operation in made
        if operation.answer is not None and added[operation.marker or ""] != int(operation.succeeded)
    ]
    evidence.note("an item is added once or, if refused, never", wrong, len(made))


@check
def customers(evidence: Evidence) -> None:
    there = dict(evidence.connection.run(CUSTOMERS))
    deleted = {operation.marker: operation for operation in evidence.journal.of("delete_customer")}
    wrong = []
    made = [operation for operation in evidence.journal.of("create_customer") if "drill" in (operation.body or {})["email"]]
    for operation in made:
        address = f"{operation.marker}@drill.example.com"
        gone = deleted.get(operation.marker)
        if operation.answer is None:
            there.pop(address, None)
        elif not operation.succeeded:
            wrong.append(f"{operation}: refused with {operation.answer.status}, although nobody else has this address")
        elif gone is None:
            if there.pop(address, None) != operation.answer.document["id"]:
                wrong.append(f"{operation}: acknowledged, and is not there")
        elif there.pop(address, None) and gone.succeeded:
            wrong.append(f"{operation}: deleted, and is there")
    wrong += [f"customer {number}: nobody asked for {address}" for address, number in there.items()]
    evidence.note("each customer is there once, and a deleted one is not", wrong, len(made))


@check
def seeds(evidence: Evidence) -> None:
    wrong = []
    asked = evidence.journal.of("start_seed")
    runs = {operation.answer.document["id"] for operation in asked if operation.answer and operation.succeeded}
    all_answered = all(operation.answer for operation in asked)
    # What was cancelled while the clock was slow seems to have been cancelled earlier.
    stored = evidence.connection.run(SEEDED, jump=JUMP_SECONDS if evidence.stage.clock.jumps else 0)
    for run, cancelled, failed, error, unfinished, promised, rows, late in stored:
        if run not in runs and all_answered:
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
    evidence.note("every chunk of a seed run is made once", wrong, len(stored))


@check
def work(evidence: Evidence) -> None:
    left = [f"{place}: {row[0]}" for place, rows in UNFINISHED.items() for row in evidence.connection.run(rows)]
    evidence.note("all work is done in the end", left, len(UNFINISHED))


@check
def histories(evidence: Evidence) -> None:
    about: dict[int, list[Operation]] = defaultdict(list)
    created: dict[int, dict[str, Any]] = {}
    for operation in evidence.journal.operations:
        if operation.order_id is not None:
            about[operation.order_id].append(operation)
        elif operation.operation_id == "create_order" and operation.answer is not None and operation.succeeded:
            created.setdefault(operation.answer.document["id"], operation.answer.document)
    broken, unexplained = [], []
    for number, document in created.items():
        versions, wrong = replay(document, evidence.events[number])
        if versions and (rows := evidence.orders.get(number)):
            items = sorted((row[3], row[4], row[5]) for row in rows if row[3] is not None)
            last = versions[-1]
            if (rows[0][2], items, json.loads(rows[0][6])) != (last.status, sorted(last.items.values()), last.metadata):
                wrong.append("its rows are not what its history leads to")
        broken += [f"order {number}: {text}" for text in wrong]
        if versions:
            unexplained += History(versions, about[number]).complaints()
    evidence.note("each order's events replayed give its rows", broken, len(created))
    judged = sum(len(operation.attempts) for operations in about.values() for operation in operations)
    evidence.note("every answer about an order fits its history", unexplained, judged)


@check
def summary(evidence: Evidence) -> None:
    """As a client reads it, page by page, compared with a recount."""
    leave_a_delta(evidence)
    told: dict[int, tuple[int, int, int]] = {}
    path = "/api/orders/summary/?limit=200"
    while path:
        page = evidence.read(path)
        for row in page["results"]:
            told[row["customer_id"]] = (row["order_count"], row["item_count"], row["total_spent_cents"])
        path = page["next"]
    counted = {
        row[0]: (row[1], int(row[2]), int(row[3]))
        for row in evidence.connection.run(
            "SELECT c.id, count(o.id), coalesce(sum(o.item_count), 0),"
            " coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0)"
            " FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id GROUP BY c.id"
        )
    }
    wrong = [
        f"customer {number}: {told.get(number)} instead of {row}" for number, row in counted.items() if told.get(number) != row
    ]
    evidence.note("the summary is what a recount gives", wrong, len(counted))


def leave_a_delta(evidence: Evidence) -> None:
    """Somebody writes an order while somebody else has the customer's totals: what is to be added waits aside."""
    connection = evidence.connection
    statement = "INSERT INTO customers (email, name) VALUES ('delta@hand.example.com', 'hand') RETURNING id"
    [[customer]] = connection.run(statement)
    connection.run("BEGIN")
    connection.run("SELECT FROM customer_totals WHERE customer_id = :customer FOR UPDATE", customer=customer)
    evidence.stage.sql("INSERT INTO orders (customer_id) VALUES (:customer)", customer=customer)
    connection.run("COMMIT")


@check
def timeouts(evidence: Evidence) -> None:
    """A function that is cut off by its timeout has told nobody what became of the request. It stops waiting shortly before."""
    slow = [line.strip() for line in evidence.stage.output() if "Task timed out" in line]
    waited = sum(attempt.ended - attempt.begun > DEADLINE_SECONDS for _, attempt in evidence.journal.attempts())
    evidence.note("a function answers before its timeout", slow, waited)
