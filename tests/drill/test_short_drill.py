"""The drill itself: one short run that finds nothing, and a judge that finds what is wrong."""

import html
from pathlib import Path
from typing import Any

import pytest

from drill.faults import FAULTS
from drill.history import History, replay
from drill.journal import Attempt, Operation
from drill.play import Plan, play, schedule
from drill.report import write_report
from drill.stage import Stage

# One of each kind; the others take longer to recover from.
SHORT = (
    "functions_killed",
    "functions_killed_after_commit",
    "workers_and_relay_killed",
    "postgres_restarted_immediately",
    "backends_terminated",
    "answers_cut",
    "pooler_put_between",
    "queue_lost_messages",
    "queue_poisoned",
    "cloud_killed",
)
ITEM = {"id": 7, "sku": "A", "quantity": 2, "unit_price_cents": 50}
PENDING = {"id": 1, "status": "pending", "total_cents": 100, "items": [ITEM]}
PAID = {**PENDING, "status": "paid"}
CREATED = ["created", "r0", {"status": [None, "pending"], "total_cents": [None, 100]}]
PAYMENT = ["order.paid", "r1", {"status": ["pending", "paid"]}]


def test_a_short_drill_finds_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        outcome = play(stage, Plan(seed=12, seconds=30, clients=4, faults=SHORT, pause=(0.3, 1)))
    page = write_report(outcome, tmp_path)
    assert outcome.verdict.findings == {}
    assert len(outcome.strikes) >= 5
    assert min(outcome.verdict.checked.values()) > 0
    assert all(html.escape(strike.what) in page.read_text() for strike in outcome.strikes)


def test_a_seed_repeats_its_schedule_and_strikes_with_every_fault() -> None:
    plan = Plan(seed=1, seconds=100)
    assert schedule(plan) == schedule(Plan(seed=1, seconds=100)) != schedule(Plan(seed=2, seconds=100))
    assert set(schedule(plan)[: len(FAULTS)]) == set(FAULTS)


def asked(name: str, begun: float, ended: float, status: int, document: Any, request_id: str = "r9") -> Operation:
    attempt = Attempt(begun, ended, status, request_id, None, document)
    return Operation("c", name, "POST", "/", order_id=1, attempts=[attempt])


@pytest.mark.parametrize(
    ("operation", "fits"),
    [
        (asked("get_order", 0, 1, 200, PENDING), True),
        (asked("get_order", 0, 1, 200, PAID), False),  # before anybody had asked for it
        (asked("get_order", 2.5, 4, 200, PENDING), True),  # while it was under way
        (asked("get_order", 2.5, 4, 200, PAID), True),
        (asked("get_order", 4, 5, 200, PENDING), False),  # after somebody had been told of it
        (asked("get_order", 4, 5, 200, {**PAID, "total_cents": 99}), False),
        (asked("pay_order", 4, 5, 200, PAID), True),  # it had happened already
        (asked("pay_order", 4, 5, 409, {}), False),
        (asked("ship_order", 0, 1, 409, {}), True),
        (asked("ship_order", 4, 5, 409, {}), False),
        (asked("add_order_item", 0, 1, 409, {}), False),
        (asked("add_order_item", 4, 5, 409, {}), True),
    ],
)
def test_an_answer_has_to_fit_a_version_that_the_order_can_have_had(operation: Operation, fits: bool) -> None:
    versions, wrong = replay(PENDING, [CREATED, PAYMENT])
    assert wrong == []
    payment = asked("pay_order", 2, 3, 200, PAID, "r1")
    assert bool(History(versions, [payment, operation]).complaints()) is not fits


@pytest.mark.parametrize(
    "events",
    [
        [],
        [CREATED, CREATED],
        [CREATED, PAYMENT, PAYMENT],
        [CREATED, ["delivered", "r1", {"status": ["pending", "delivered"]}]],
        [CREATED, ["item_added", "r1", {"item": [None, {**ITEM, "id": 8}], "total_cents": [0, 200]}]],
        [CREATED, ["item_removed", "r1", {"item": [{**ITEM, "quantity": 3}, None], "total_cents": [100, 0]}]],
        [CREATED, PAYMENT, ["item_added", "r2", {"item": [None, {**ITEM, "id": 8}], "total_cents": [100, 200]}]],
    ],
)
def test_events_that_do_not_follow_from_each_other_are_found(events: list[list[Any]]) -> None:
    assert replay(PENDING, events)[1]
