"""People who are erased: while some clients rename them and order in their name, another has them forgotten."""

import json
import re
from collections import defaultdict
from typing import Any

from drill.checks import Evidence
from drill.clients import Client
from drill.parts import check, want
from drill.wants import make_order

MOST_PEOPLE = 4
# What is written of a person bears the person's mark, wherever it comes to stand.
MARK = re.compile(r"person-[a-z0-9]+-\d+-")
PEOPLE = "SELECT id, email, name, metadata::text FROM customers WHERE id = ANY (:ids::bigint[])"
EVENTS = """
SELECT customer_id, type, request_id, changes::text FROM events
WHERE order_id IS NULL AND customer_id = ANY (:ids::bigint[]) ORDER BY customer_id, sequence
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname"


@want(2)
def meet_person(client: Client) -> None:
    people = client.world.people
    if len(people) >= MOST_PEOPLE:
        return
    marker = client.marker()
    mark = f"person-{marker}-"
    body = {"email": f"{mark}@person.example.com", "name": f"{mark}named", "metadata": {"phone": f"{mark}555"}}
    created = client.perform("create_customer", "POST", "/api/customers/", body=body, key=f"key-{marker}", marker=mark)
    if created.answer is not None and created.succeeded:
        people[created.answer.document["id"]] = mark


@want(3)
def change_person(client: Client) -> None:
    if number := person(client):
        mark = client.world.people.get(number, "person-")
        text = f"{mark}{client.marker()}"
        body: dict[str, Any] = {"name": text} if client.chance.random() < 0.5 else {"metadata": {"phone": text}}
        client.perform("update_customer", "PATCH", f"/api/customers/{number}/", body=body, about=number)


@want(3)
def order_of_person(client: Client) -> None:
    if number := person(client):
        make_order(client, key=True, customer=number)


@want(1)
def erase_person(client: Client) -> None:
    """And again, which changes nothing. Others go on for a moment with the number that they have."""
    if number := person(client):
        path = f"/api/customers/{number}/erase/"
        client.perform("erase_customer", "POST", path, about=number)
        client.world.people.pop(number, None)
        client.perform("erase_customer", "POST", path, about=number)


def person(client: Client) -> int | None:
    people = list(client.world.people)
    return client.chance.choice(people) if people else None


def people_of(evidence: Evidence) -> tuple[dict[int, str], set[int | None]]:
    """The marks of all by their ids, and who was erased."""
    erased = {operation.about for operation in evidence.journal.of("erase_customer") if operation.succeeded}
    made = {
        operation.answer.document["id"]: operation.marker or ""
        for operation in evidence.journal.of("create_customer")
        if operation.answer is not None and operation.succeeded and MARK.fullmatch(operation.marker or "")
    }
    return made, erased


@check
def erasures(evidence: Evidence) -> None:
    made, erased = people_of(evidence)
    marks = {mark for number, mark in made.items() if number in erased}
    kept = []
    for (table,) in evidence.connection.run(TABLES):
        found = evidence.connection.run(
            f"SELECT t::text FROM {table} AS t WHERE t::text LIKE '%person-%'"  # the table's name is PostgreSQL's own
        )
        kept += [f"{table}: {text[:200]}" for (text,) in found if marks & set(MARK.findall(text))]
    evidence.note("nothing is left of who was erased", kept, len(marks))
    histories(evidence, made, erased)


def histories(evidence: Evidence, made: dict[int, str], erased: set[int | None]) -> None:
    events: dict[int, list[list[Any]]] = defaultdict(list)
    for number, event_type, request_id, changes in evidence.connection.run(EVENTS, ids=list(made)):
        events[number].append([event_type, request_id, json.loads(changes)])
    wrong = []
    for number, email, name, metadata in evidence.connection.run(PEOPLE, ids=list(made)):
        told = replay(events[number])
        if (email, name, json.loads(metadata)) != told:
            wrong.append(f"customer {number} is {email}, {name}, {metadata}, by the events {told}")
        ends = [event_type for event_type, _, _ in events[number]].count("customer.erased")
        if number in erased and (ends != 1 or (email, name) != (f"erased-{number}@erased.invalid", "erased")):
            wrong.append(f"customer {number}: erased, and is {email} with {ends} erasures among the events")
    evidence.note("each customer's events replayed give its row", wrong, len(made))


def replay(events: list[list[Any]]) -> tuple[Any, Any, Any]:
    """Address, name and metadata after the events."""
    state: dict[str, Any] = {"email": None, "name": None, "metadata": {}}
    for event_type, _, changes in events:
        if event_type == "customer.erased":
            # What stands in the place of the former ones is in the events before.
            state["metadata"] = {}
        state |= {field: pair[1] for field, pair in changes.items()}
    return state["email"], state["name"], state["metadata"]
