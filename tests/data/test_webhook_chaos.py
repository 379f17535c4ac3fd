"""Each event arrives, whatever is killed and whatever the queues do. CHAOS_EVENTS=10000 makes it longer."""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import standardwebhooks

from orders.connection import parse
from tests.data.test_outbox import Killed
from tests.data.test_webhooks import Receiver, add, certificate, drain, pass_time, receiver
from tests.harness import Database, LambdaContext, Service, delete, queue_client, receive

__all__ = ["certificate", "receiver"]

pytestmark = pytest.mark.slow

EVENTS = int(os.environ.get("CHAOS_EVENTS", "40"))


@pytest.fixture(autouse=True)
def _no_messages(service: Service) -> Iterator[None]:
    drain()
    yield
    drain()


class Chance:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.fates: Counter[str] = Counter()

    def strikes(self, what: str, chance: float) -> bool:
        struck = self.random.random() < chance
        self.fates[what] += struck
        return struck

    def queued(self, queue: str) -> list[dict[str, Any]]:
        """All messages of a queue, of which some are lost, some are there twice, and none is where it was."""
        records: list[dict[str, Any]] = []
        while event := receive(queue):
            records += event["Records"]
            delete(event, queue)
        records = [record for record in records if not self.strikes("lost", 0.15)]
        records += [record for record in records if self.strikes("doubled", 0.3)]
        self.random.shuffle(records)
        return records


class Mortal:
    """A queue's client that ends its function's process before or after what it sends."""

    def __init__(self, whose: str, chance: Chance) -> None:
        self.whose, self.chance = whose, chance

    def send_message_batch(self, **request: Any) -> Any:
        if self.chance.strikes(f"{self.whose} killed before sending", 0.15):
            raise Killed
        answer = queue_client().send_message_batch(**request)
        if self.chance.strikes(f"{self.whose} killed after sending", 0.15):
            raise Killed
        return answer


def test_each_event_arrives_whatever_is_killed_and_whatever_the_queues_do(
    service: Service, db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Chance(3)
    webhook = add(service, receiver.url, "customer.created")
    customers = {service.customer(f"c{number}@shop.example.com")["id"] for number in range(EVENTS)}
    relay, sending, settling = (service.module(name) for name in ("relay_outbox", "deliver_webhook", "settle_webhook"))
    monkeypatch.setattr(relay, "sqs", lambda: Mortal("relay", chance))
    monkeypatch.setattr(sending, "sqs", lambda: Mortal("sender", chance))
    verify = standardwebhooks.Webhook(webhook["secret"]).verify
    told: set[int] = set()
    for _ in range(EVENTS * 20):
        if not db.value("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"):
            break
        receiver.answers = [(chance.random.choice([200, 200, 500]), {}, b"")]
        with suppress(Killed):
            service.invoke("relay_outbox", {}, LambdaContext(30))
        for record in chance.queued("webhooks"):
            with suppress(Killed):
                service.invoke("deliver_webhook", {"Records": [record]})
        # At once: a signature is valid for five minutes.
        told |= {verify(body, headers)["customer_id"] for headers, body, _ in receiver.got}
        receiver.got.clear()
        for record in chance.queued("webhook_reports"):
            if chance.strikes("settling killed before its commit", 0.15):
                connection = db.connect("orders_relay")
                connection.run("BEGIN")
                _, _, names = parse(settling.SETTLE)
                report = json.loads(record["body"])
                given = {"pauses": settling.PAUSES, "hours": 72, "disable_hours": 72, "disable_failures": 1000, **report}
                connection.run(settling.SETTLE, **{name: given[name] for name in names})
                db.kill(connection)
                continue
            assert service.invoke("settle_webhook", {"Records": [record]}) == {"batchItemFailures": []}
        pass_time(db, "5 minutes")
    assert db.sql("SELECT DISTINCT status FROM webhook_deliveries") == [["succeeded"]]
    assert db.value("SELECT count(*) FROM outbox") == 0
    assert told == customers
    assert min(chance.fates.values()) > 0
    assert len(chance.fates) == 7
