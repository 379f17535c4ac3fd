"""Somebody exports orders and customers again and again, and compares the files with what there was to export."""

import gzip
import json
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from drill.checks import READ_SECONDS, Evidence
from drill.clients import Client, World
from drill.journal import Attempt, Operation
from drill.parts import beside, check, fault
from drill.people import MARK, people_of
from drill.stage import Stage

BUCKET = "orders-exports"
# Of each export of orders so many are judged by their histories.
JUDGED = 100


@dataclass(frozen=True)
class Exported:
    """An export and its lines. begun: when it was asked for. lines: None if there is no file.

    disturbed: the laptop's S3, which remembers nothing, was started anew meanwhile.
    """

    document: dict[str, Any]
    begun: float
    lines: list[dict[str, Any]] | None
    disturbed: bool

    def __str__(self) -> str:
        return f"export {self.document['id']} of {self.document['kind']}"


@beside
def export_again_and_again(stage: Stage, world: World, seed: str) -> None:
    client = Client(world, "exporter", seed, {})
    with world.noticing("the exporter"):
        while not world.over.wait(0.5):
            export(stage, client)
    client.http.close()


def export(stage: Stage, client: Client) -> None:
    world, marker, starts, begun = client.world, client.marker(), stage.starts, time.monotonic()
    kind = ("customers", "orders", "orders")[(client.count - 1) % 3]
    # Orders of those who are not erased: an erasure ends every export that could hold the customer.
    filters = {"customer_id": client.chance.choice(world.customers)} if kind == "orders" else {}
    body = {"kind": kind, "format": "jsonl", "filters": filters}
    started = client.perform("start_export", "POST", "/api/exports/", body=body, key=f"key-{marker}", marker=marker)
    if started.answer is None or not started.succeeded:
        return
    document = started.answer.document
    while document["finished_at"] is None:
        if time.monotonic() > world.ends_at:
            return
        time.sleep(0.3)
        document = client.perform("get_export", "GET", f"/api/exports/{document['id']}/").attempts[-1].document or document
    lines = download(world, document["url"]) if document["url"] else None
    world.exports.append(Exported(document, begun, lines, disturbed=stage.starts != starts))
    if kind == "orders":
        for line in client.chance.sample(lines or [], min(len(lines or []), JUDGED)):
            # As if it had been read one by one.
            attempt = Attempt(begun, time.monotonic(), 200, document=line)
            path = f"/api/exports/{document['id']}/"
            world.journal.add(Operation(client.name, "get_order", "GET", path, order_id=line["id"], attempts=[attempt]))


def download(world: World, url: str) -> list[dict[str, Any]] | None:
    """None if there is no such file."""
    while True:
        with suppress(httpx.HTTPError):
            answer = httpx.get(url, timeout=READ_SECONDS)
            if answer.status_code == 200:
                # Several gzip files one after the other.
                return [json.loads(line) for line in gzip.decompress(answer.content).splitlines()]
            if answer.status_code != 503:
                return None
        if time.monotonic() > world.ends_at:
            return None
        time.sleep(0.3)


@fault
def s3_refusing(stage: Stage, chance: random.Random) -> str:
    """Exports that have been begun wait for it, and so do downloads."""
    seconds = chance.uniform(2, 5)
    with stage.refusing("s3"):
        time.sleep(seconds)
    return f"S3 answered 503 for {seconds:.1f} s"


@check
def exports(evidence: Evidence) -> None:
    made = evidence.world.exports
    wrong = []
    for export in made:
        erased = "erased" in (export.document["error"] or "") and export.document["kind"] == "customers"
        if export.lines is None:
            if not export.disturbed and not erased:
                wrong.append(f"{export}: is {export.document['status']} without a file: {export.document['error']}")
            continue
        ids = Counter(line["id"] for line in export.lines)
        wrong += [f"{export}: {number} is in it {count} times" for number, count in ids.items() if count > 1]
        if len(export.lines) != export.document["rows"]:
            wrong.append(f"{export}: has {len(export.lines)} lines, and says {export.document['rows']}")
        wrong += [f"{export}: {number} is not in it" for number in there_before(evidence, export) - ids.keys()]
    evidence.note("an export has what was there, each once", wrong, sum(len(export.lines or ()) for export in made))


def there_before(evidence: Evidence, export: Exported) -> set[int]:
    """Ids of what had been acknowledged when the export was asked for, and has not been deleted."""
    kind, filters = export.document["kind"], export.document["filters"]
    deleted = {operation.marker for operation in evidence.journal.of("delete_customer")}
    return {
        operation.answer.document["id"]
        for operation in evidence.journal.of("create_order" if kind == "orders" else "create_customer")
        if operation.answer is not None
        and operation.succeeded
        and operation.answer.ended < export.begun
        and operation.marker not in deleted
        and (kind != "orders" or (operation.body or {})["customer_id"] == filters["customer_id"])
    }


@check
def files(evidence: Evidence) -> None:
    """Removed with whoever is in them. The other files are all read."""
    made, erased = people_of(evidence)
    marks = {mark for number, mark in made.items() if number in erased}
    kept, read = [], 0
    with evidence.stage.aws("s3") as client:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for item in page.get("Contents", []):
                read += 1
                text = gzip.decompress(client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()).decode()
                kept += [f"{item['Key']}: {mark}" for mark in marks & set(MARK.findall(text))]
    evidence.note("no file of an export holds who was erased", kept, read)
