"""Somebody follows the feed of events through all faults, and in the end has every event once and in order."""

from collections import defaultdict
from typing import Any

from drill.checks import Evidence
from drill.clients import Client, World
from drill.parts import ALWAYS, beside, check
from drill.stage import Stage

STORED = "SELECT id, type, order_id, customer_id, sequence, request_id FROM events"
HISTORIES_READ = 30

ALWAYS["events count from 1 without a gap, in the order of the feed"] = """
    SELECT 'event ' || id || ' is number ' || sequence || ' of order ' || coalesce(order_id::text, 'none') || ', customer '
        || customer_id || ' and comes ' || place || '.'
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY order_id, CASE WHEN order_id IS NULL THEN customer_id END ORDER BY transaction_id, id
        ) AS place
        FROM events
    ) AS e
    WHERE sequence <> place"""


@beside
def follow(_: Stage, world: World, seed: str) -> None:
    client = Client(world, "follower", seed, {})
    with world.noticing("the follower"):
        while not world.over.wait(0.2):
            read_on(client)
    client.http.close()


def read_on(client: Client) -> int:
    """Reads the next page, and returns how many events were on it."""
    world = client.world
    page = client.perform("list_events", "GET", world.feed_path).attempts[-1]
    if not page.succeeded:
        return 0
    events: list[dict[str, Any]] = page.document["results"]
    world.feed += events
    world.feed_path = f"/api/events/?limit={client.chance.randint(1, 200)}&cursor={page.document['next_cursor']}"
    # The journal need not keep all events as well.
    page.document = None
    return len(events)


@check
def feed(evidence: Evidence) -> None:
    world = evidence.world
    client = Client(world, "follower", "end", {})
    while read_on(client):
        pass
    client.http.close()
    stored = {row[0]: row[1:] for row in evidence.connection.run(STORED)}
    fields = ("type", "order_id", "customer_id", "sequence", "request_id")
    read = [event["id"] for event in world.feed]
    wrong = [f"event {number} of {stored[number]}: was never shown" for number in stored.keys() - set(read)]
    last: dict[tuple[int | None, int], int] = defaultdict(int)
    for event in world.feed:
        if stored.get(event["id"]) != [event[field] for field in fields]:
            wrong.append(f"event {event['id']}: is stored as {stored.get(event['id'])}, and was shown as {event}")
        about = (event["order_id"], 0 if event["order_id"] else event["customer_id"])
        if event["sequence"] != last[about] + 1:
            wrong.append(f"event {event['id']}: number {event['sequence']} came after number {last[about]}")
        last[about] = event["sequence"]
    evidence.note("who follows the feed gets every event once, and in order", wrong, len(stored))
    again = walk(evidence)
    evidence.note(
        "a walk through the feed shows what was followed", ["another order, or others"] if again != read else [], len(again)
    )


def walk(evidence: Evidence) -> list[int]:
    found: list[int] = []
    path = "/api/events/?limit=200"
    while page := evidence.read(path):
        found += [event["id"] for event in page["results"]]
        if not page["results"]:
            break
        path = f"/api/events/?limit=200&cursor={page['next_cursor']}"
    return found
