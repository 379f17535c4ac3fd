"""The documents that PostgreSQL builds have the shape that the contract describes."""

import json
import re
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import BaseModel

from orders import event_models, export_models, mail_models, models, webhook_models
from orders.driver import DatabaseError
from tests.data.test_statements import REQUESTS
from tests.harness import Database, Service


class Documented(NamedTuple):
    model: type[BaseModel]
    # Tables whose columns appear under their own names.
    tables: tuple[str, ...]
    not_columns: tuple[str, ...] = ()


DOCUMENTS = {
    "customer_document_2": Documented(models.Customer, ("customers",)),
    "order_customer": Documented(models.CustomerReference, ("customers",)),
    "order_item_document": Documented(models.OrderItem, ("order_items",)),
    "order_document_2": Documented(models.Order, ("orders",)),
    "event_document": Documented(event_models.Event, ("events",)),
    "customer_summary_document": Documented(models.CustomerSummary, ("customers", "customer_totals")),
    "export_document": Documented(export_models.Export, ("exports",)),
    "exported_item_document": Documented(export_models.ExportedItem, ("order_items",)),
    "webhook_document": Documented(webhook_models.Webhook, ("webhooks",)),
    # Its secret is null where the same request is answered again.
    "webhook_with_secret_document": Documented(webhook_models.WebhookWithSecret, ("webhooks",), ("secret",)),
    "webhook_delivery_document": Documented(webhook_models.WebhookDelivery, ("webhook_deliveries",)),
    "mail_document": Documented(mail_models.Mail, ("mails",)),
    "seed_run_document": Documented(models.SeedRun, ("seed_runs",)),
}
# What the release before makes documents of, if it is rolled back to.
FORMER = {"customer_document", "order_document", "order_event_document"}
# type of an attribute → type or format of its field in openapi.json, or the model that it refers to
KINDS = {
    "boolean": {"boolean"},
    "bigint": {"integer"},
    "integer": {"integer"},
    "text": {"string"},
    "text[]": {"array"},
    "json": {"array", "object", "ExportFilters"},
    "timestamp with time zone": {"date-time"},
    "uuid": {"uuid"},
    "order_customer": {"CustomerReference"},
}
ATTRIBUTES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(:type) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
NULLABLE = """
SELECT attname, NOT attnotnull FROM pg_attribute
WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
"""
TYPES = "SELECT relname FROM pg_class WHERE relkind = 'c' AND relnamespace = 'public'::regnamespace"


def kind(schema: dict[str, Any]) -> str:
    for option in schema.get("anyOf", ()):
        if option != {"type": "null"}:
            return kind(option)
    return str(schema.get("format") or schema.get("type") or schema["$ref"].rpartition("/")[2])


def is_nullable(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_the_fields_of_its_model_in_order(db: Database, name: str) -> None:
    model, tables, not_columns = DOCUMENTS[name]
    fields = model.model_json_schema(mode="serialization")["properties"]
    attributes = dict(db.sql(ATTRIBUTES, type=name))
    assert list(attributes) == list(fields)
    assert {field: kind(schema) for field, schema in fields.items() if kind(schema) not in KINDS[attributes[field]]} == {}
    columns = {column: nullable for table in tables for column, nullable in db.sql(NULLABLE, table=table)}
    shown = (fields.keys() & columns.keys()) - set(not_columns)
    assert len(shown) > 1
    assert {field for field in shown if is_nullable(fields[field])} == {field for field in shown if columns[field]}


def test_every_document_type_is_compared_with_a_model(db: Database) -> None:
    assert {name for [name] in db.sql(TYPES) if not name.endswith("_changes")} == DOCUMENTS.keys() | FORMER


@pytest.mark.parametrize("name", REQUESTS)
def test_no_answer_contains_insignificant_bytes(service: Service, db: Database, name: str) -> None:
    order = service.order(service.customer(name='Zoë "Ö" \\ Ng')["id"], (1, 1), (2, 2))
    changed = service.http("PATCH", f"/api/orders/{order['id']}/items/{order['items'][1]['id']}/", {"quantity": 3})
    text = REQUESTS[name][1](service, changed.json).text
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("orders_status_known", get_args(models.OrderStatus)),
        ("events_type_known", tuple(event_models.EVENTS)),
        ("mails_status_known", get_args(mail_models.MailStatus)),
    ],
)
def test_a_column_accepts_the_values_that_the_contract_lists(db: Database, constraint: str, values: tuple[str, ...]) -> None:
    check = db.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :constraint", constraint=constraint)
    assert set(re.findall(r"'([\w.]+)'", check)) == set(values)


def test_no_event_has_a_type_that_is_unknown_to_clients(service: Service, db: Database) -> None:
    service.order(service.customer()["id"])
    with pytest.raises(DatabaseError, match="events_type_known"):
        db.sql("UPDATE events SET type = 'order.lost' WHERE order_id IS NOT NULL")
