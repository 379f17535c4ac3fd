"""The documents that PostgreSQL makes: what the contract says of them."""

import re
from typing import get_args

import pytest

from orders import models
from orders.driver import DatabaseError
from tests.harness import Database, Service


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("orders_status_known", get_args(models.Status)),
        ("order_events_type_known", get_args(models.OrderEvent.model_fields["type"].annotation)),
    ],
)
def test_a_column_takes_the_values_that_the_contract_knows(db: Database, constraint: str, values: tuple[str, ...]) -> None:
    check = db.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :constraint", constraint=constraint)
    assert set(re.findall(r"'(\w+)'", check)) == set(values)


def test_no_event_has_a_type_that_no_client_knows(service: Service, db: Database) -> None:
    service.order(service.customer()["id"])
    with pytest.raises(DatabaseError, match="order_events_type_known"):
        db.sql("UPDATE order_events SET type = 'lost'")
