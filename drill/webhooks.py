"""Somebody is told by webhooks of all that happens, and compares it in the end with the feed."""

import json
import random
import time
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drill.checks import Evidence
from drill.clients import Client, World
from drill.clock import JUMP_SECONDS
from drill.parts import UNFINISHED, beside, check, fault
from drill.people import MARK, people_of
from drill.receiver import SLACK_SECONDS, Hook
from drill.stage import UNREACHABLE, Stage

if TYPE_CHECKING:
    from drill.journal import Operation

WANTED_TYPES = (("*",), ("order.created", "order.paid", "order.cancelled", "customer.erased"))
# Between two of the things that a receiver's owner does.
PAUSE_SECONDS = 2
# An event has the time at which its transaction began, and the clock may be slow.
LONGEST_TRANSACTION_SECONDS = 20 + JUMP_SECONDS
OF_EVENT = "SELECT id FROM webhook_deliveries WHERE webhook_id = :webhook AND event_id = :event"
UNFINISHED["the deliveries of webhooks"] = """
    SELECT 'delivery ' || id || ' to webhook ' || webhook_id || ' after ' || attempts || ' attempts'
    FROM webhook_deliveries WHERE status = 'pending'"""


@beside
def subscribe(stage: Stage, world: World, seed: str) -> None:
    client = Client(world, "subscriber", seed, {})
    with world.noticing("the subscriber"):
        hooks = [hook for types in WANTED_TYPES[: world.webhooks] if (hook := register(stage, client, types))]
        while hooks and not world.over.wait(PAUSE_SECONDS):
            hook = client.chance.choice(hooks)
            client.chance.choice((send_test, rotate))(client, hook)
            ask_again(stage, client, hook)
        # A receiver that has thanked for what he has forgotten must ask for it: nobody else knows.
        for hook in hooks:
            while time.monotonic() < world.ends_at and ask_again(stage, client, hook):
                time.sleep(1)
    client.http.close()


def register(stage: Stage, client: Client, types: tuple[str, ...]) -> Hook | None:
    marker = client.marker()
    hook = stage.receiver.add(f"/{marker}", types)
    body = {"url": f"http://127.0.0.1:{stage.receiver.port}{hook.path}", "types": list(types)}
    made = client.perform("create_webhook", "POST", "/api/webhooks/", body=body, key=f"key-{marker}", marker=marker)
    if made.answer is None or not made.succeeded:
        return None
    hook.number, hook.since = made.answer.document["id"], stage.clock.latest()
    if made.answer.document["secret"] is None:
        # The answer that had it was lost.
        rotate(client, hook)
    else:
        hook.know(made.answer.document["secret"])
    return hook


def rotate(client: Client, hook: Hook) -> None:
    """Until a secret is known that is in use: each time there is a new one."""
    hook.unsure = True
    path = f"/api/webhooks/{hook.number}/rotate-secret/"
    if rotated := until_told(client, "rotate_webhook_secret", path):
        hook.know(rotated["secret"])


def send_test(client: Client, hook: Hook) -> None:
    tested = client.perform("test_webhook", "POST", f"/api/webhooks/{hook.number}/test/")
    if tested.answer is not None and tested.succeeded:
        hook.tests.add(f"test-{tested.answer.document['id']}")


def ask_again(stage: Stage, client: Client, hook: Hook) -> bool:
    """For what was dropped and has not come again; returns whether there was something."""
    missing = list(hook.dropped - hook.worked)
    for identifier in missing:
        with suppress(*UNREACHABLE):
            number = identifier.removeprefix("test-")
            if number == identifier:
                [[number]] = stage.sql(OF_EVENT, webhook=hook.number, event=int(identifier))
            until_told(client, "retry_webhook_delivery", f"/api/webhooks/{hook.number}/deliveries/{number}/retry/")
    return bool(missing)


def until_told(client: Client, operation_id: str, path: str) -> dict[str, Any] | None:
    """What has no key and may be asked for any number of times."""
    while time.monotonic() < client.world.ends_at:
        asked: Operation = client.perform(operation_id, "POST", path)
        if asked.answer is not None and asked.succeeded:
            document: dict[str, Any] = asked.answer.document
            return document
        time.sleep(0.3)
    return None


@fault
def receivers_down(stage: Stage, chance: random.Random) -> str:
    seconds = chance.uniform(2, 5)
    stage.receiver.stop()
    time.sleep(seconds)
    stage.receiver.start()
    return f"the receiver of webhooks down for {seconds:.1f} s"


@fault
def receivers_slow(stage: Stage, chance: random.Random) -> str:
    """Some answers come only after the service has stopped waiting."""
    return moody(stage, chance, "slow")


@fault
def receivers_lying(stage: Stage, chance: random.Random) -> str:
    """He thanks and forgets, fails after his work, sends elsewhere, answers without end or not to the end."""
    return moody(stage, chance, "lying")


def moody(stage: Stage, chance: random.Random, mood: str) -> str:
    seconds, before = chance.uniform(3, 6), stage.receiver.fates.copy()
    stage.receiver.mood = mood
    time.sleep(seconds)
    stage.receiver.mood = "well"
    fates = stage.receiver.fates - before
    del fates["well"]
    return f"the receiver of webhooks {mood} for {seconds:.1f} s, {fates.total()} times"


@check
def deliveries(evidence: Evidence) -> None:
    events = {str(event["id"]): event for event in evidence.world.feed}
    made, erased = people_of(evidence)
    forgotten = {made[number]: clock(number, evidence) for number in made.keys() & erased}
    for hook in [hook.copy() for hook in evidence.stage.receiver.hooks.values()]:
        never = [f"{hook}: {identifier} never arrived" for identifier in hook.tests - hook.worked]
        # Of what happened while it was being created, nobody knows whether it was before.
        wanted = {i: event for i, event in events.items() if hook.wants(event["type"]) and seconds(event["at"]) > hook.since}
        never += [f"{hook}: {events[identifier]} never arrived" for identifier in wanted.keys() - hook.worked]
        evidence.note("each event arrives at each webhook that wants it", never, len(hook.worked))
        strange = [
            f"{hook}: {identifier} {text}"
            for identifier, bodies in hook.got.items()
            for text in judged(hook, identifier, bodies, events.get(identifier), erased)
        ]
        evidence.note("what arrives is signed, was asked for, and is what the feed shows", hook.wrong + strange, len(hook.got))
        if "*" in hook.types:
            gaps = [f"{hook}: {text}" for text in missing_numbers(wanted, [events[i] for i in events.keys() & hook.worked])]
            evidence.note("the events of an order that arrive count up without a gap", gaps, len(wanted))
        late = [
            f"{hook}: {identifier} was signed {signed - forgotten[mark]:.0f} s after the erasure of {mark}"
            for identifier, bodies in hook.got.items()
            for body, signed in bodies.items()
            for mark in forgotten.keys() & set(MARK.findall(body))
            if signed > forgotten[mark] + SLACK_SECONDS
        ]
        evidence.note("nothing is composed for a webhook of who was erased", late, len(forgotten))
        evidence.note("each delivery that arrived is listed, once, as succeeded", listed(evidence, hook), len(hook.got))
    evidence.note("nothing is sent anywhere else", evidence.stage.receiver.strays, evidence.stage.receiver.fates.total())


def seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def clock(customer: int, evidence: Evidence) -> float:
    """When the customer's erasure was acknowledged, in seconds since 1970."""
    asked = [operation for operation in evidence.journal.of("erase_customer") if operation.about == customer]
    ended = min(operation.answer.ended for operation in asked if operation.answer is not None and operation.succeeded)
    return ended + time.time() - time.monotonic()


def judged(
    hook: Hook, identifier: str, bodies: dict[str, int], event: dict[str, Any] | None, erased: set[int | None]
) -> list[str]:
    """What is wrong with what arrived under an id."""
    documents = [json.loads(body) for body in bodies]
    if identifier.startswith("test-"):
        return [f"is of webhook {body['webhook_id']}" for body in documents if body["webhook_id"] != hook.number]
    if event is None:
        return ["is not in the feed"]
    wrong = [] if hook.wants(event["type"]) else [f"is {event['type']}, which nobody wanted"]
    if seconds(event["at"]) < hook.begun - LONGEST_TRANSACTION_SECONDS:
        wrong.append("happened before there was a webhook")
    if event["order_id"] is None and event["customer_id"] in erased:
        # An erasure rewrites its customer's events.
        *documents, event = [{**each, "changes": None} for each in (*documents, event)]
    return wrong + [f"arrived as {document}, and is {event}" for document in documents if document != event]


def missing_numbers(wanted: dict[str, dict[str, Any]], worked: list[dict[str, Any]]) -> list[str]:
    """Between the first and the last that was wanted. What happened while the clock was slow may only seem older than those."""
    there: dict[int, list[int]] = defaultdict(list)
    arrived: dict[int, set[int]] = defaultdict(set)
    for event in wanted.values():
        if event["order_id"] is not None:
            there[event["order_id"]].append(event["sequence"])
    for event in worked:
        if event["order_id"] is not None:
            arrived[event["order_id"]].add(event["sequence"])
    return [
        f"of order {order} arrived {sorted(arrived[order])}"
        for order, numbers in there.items()
        if not arrived[order].issuperset(range(min(numbers), max(numbers) + 1))
    ]


def listed(evidence: Evidence, hook: Hook) -> list[str]:
    """What the service says of its deliveries."""
    found: Counter[str] = Counter()
    wrong = []
    path = f"/api/webhooks/{hook.number}/deliveries/?limit=200" if hook.number else None
    while path:
        page = evidence.read(path)
        for delivery in page["results"]:
            identifier = str(delivery["event_id"] or f"test-{delivery['id']}")
            found[identifier] += 1
            if delivery["status"] != "succeeded" or delivery["attempts"] < 1:
                wrong.append(f"{hook}: {identifier} is {delivery['status']} after {delivery['attempts']} attempts")
        path = page["next"]
    wrong += [f"{hook}: {identifier} is listed {found[identifier]} times" for identifier in hook.got if found[identifier] != 1]
    return wrong + [f"{hook}: {identifier} is listed, and never arrived" for identifier in found.keys() - hook.got.keys()]
