"""The judge of a drill finds what is wrong. A drill itself is in .ci/run: it needs the machine for itself."""

from typing import Any

import pytest

from drill.history import History, replay
from drill.journal import Attempt, Operation
from drill.parts import FAULTS
from drill.play import Plan, schedule

ITEM = {"id": 7, "sku": "A", "quantity": 2, "unit_price_cents": 50}
PENDING = {"id": 1, "status": "pending", "total_cents": 100, "items": [ITEM], "metadata": {"a": "1"}, "reference": None}
PAID = {**PENDING, "status": "paid"}
CREATED = ["order.created", "r0", {"status": [None, "pending"], "total_cents": [None, 100]}]
PAYMENT = ["order.paid", "r1", {"status": ["pending", "paid"]}]


def test_a_seed_repeats_its_schedule_and_strikes_with_every_fault() -> None:
    plan = Plan(seed=1, seconds=100)
    assert schedule(plan) == schedule(Plan(seed=1, seconds=100)) != schedule(Plan(seed=2, seconds=100))
    assert set(schedule(plan)[: len(FAULTS)]) == set(FAULTS)


def asked(
    name: str, begun: float, ended: float, status: int, document: Any, request_id: str = "r9", body: Any = None
) -> Operation:
    attempt = Attempt(begun, ended, status, request_id, None, document)
    return Operation("c", name, "POST", "/", body=body, order_id=1, attempts=[attempt])


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
        (asked("update_order", 0, 1, 200, PENDING, body={"metadata": {"a": "1", "b": None}}), True),  # nothing to change
        (asked("update_order", 0, 1, 200, PENDING, body={"metadata": {"a": "2"}}), False),
        (asked("get_order", 0, 1, 200, {**PENDING, "metadata": {}}), False),
        (asked("get_order", 0, 1, 200, {**PENDING, "reference": "another"}), False),
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
        [CREATED, ["order.delivered", "r1", {"status": ["pending", "delivered"]}]],
        [CREATED, ["order.item_added", "r1", {"item": [None, {**ITEM, "id": 8}], "total_cents": [0, 200]}]],
        [CREATED, ["order.item_removed", "r1", {"item": [{**ITEM, "quantity": 3}, None], "total_cents": [100, 0]}]],
        [CREATED, ["order.updated", "r1", {"metadata": [{"a": "2"}, {}]}]],
        [CREATED, ["order.updated", "r1", {"metadata": [{"a": "1"}, {"a": "1"}]}]],
        [CREATED, PAYMENT, ["order.item_added", "r2", {"item": [None, {**ITEM, "id": 8}], "total_cents": [100, 200]}]],
    ],
)
def test_events_that_do_not_follow_from_each_other_are_found(events: list[list[Any]]) -> None:
    assert replay(PENDING, events)[1]


def test_an_event_has_the_reason_that_was_given() -> None:
    cancelled = {**PENDING, "status": "cancelled"}
    changes = {"status": ["pending", "cancelled"], "reason": "too late"}
    versions, wrong = replay(PENDING, [CREATED, ["order.cancelled", "r1", changes]])
    assert wrong == []
    for reason, complaints in (("too late", 0), ("another", 1), (None, 1)):
        cancelling = asked("cancel_order", 0, 1, 200, cancelled, "r1", body={"reason": reason})
        assert len(History(versions, [cancelling]).complaints()) == complaints
