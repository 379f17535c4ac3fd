"""`python -m benchmarks.laptop`: the laptop's cloud with every worker, and then with nothing to do.

It seeds 10 customers with 10 orders of 2 items, writes an export, sends mails, and delivers some events to a receiver on this
machine, with pauses between them: how long after the answer to the request does the receiver have each? Then it waits until all
functions but the relay have been retired, and measures memory (proportional set size) and processor time.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import psutil

from drill.laptop import Laptop
from drill.servers import wait_until
from local.cloud import Settings
from local.runtime import IDLE_SECONDS

PAUSE_SECONDS = 1.7
ITEM = {"sku": "MUG-11", "quantity": 1, "unit_price_cents": 1250}
WARM_SECONDS = 60


class Receiver(BaseHTTPRequestHandler):
    arrived: Queue[tuple[float, Any]] = Queue()

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.arrived.put((time.monotonic(), event))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The figures say it."""


def sizes(laptop: Laptop) -> tuple[float, dict[str, float]]:
    """Megabytes of all processes, and of each kind of them."""
    kinds: dict[str, float] = {}
    for process in [psutil.Process(laptop.process.pid), *laptop.processes()]:
        # PostgreSQL's come and go.
        with suppress(psutil.Error):
            name = process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "") or process.name()
            kinds[name] = kinds.get(name, 0) + process.memory_full_info().pss / 2**20
    return sum(kinds.values()), kinds


def processor_seconds(laptop: Laptop) -> float:
    """Of the cloud's processes, and of those that they have waited for."""
    spent = 0.0
    for process in [psutil.Process(laptop.process.pid), *laptop.processes()]:
        with suppress(psutil.Error):
            spent += sum(process.cpu_times()[:4])
    return spent


def use(laptop: Laptop, events: int) -> list[float]:
    """Something for every function. The seconds from an answer to the arrival of its event."""
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    laptop.finished(laptop.seed(customers=10, orders_per_customer=10, items_per_order=2))
    for path in ("orders/", "orders/?status=paid&email=alice", "orders/summary/", "customers/", "events/", "docs/", ""):
        assert laptop.get(f"/api/{path}").status_code == 200
    hook = {"url": f"http://127.0.0.1:{receiver.server_port}/", "types": ["order.created"]}
    assert laptop.post("/api/webhooks/", hook).status_code == 201
    laptop.post("/api/exports/", {"kind": "orders", "format": "csv"})
    # As SES's simulator does, it comes back.
    customer = laptop.post("/api/customers/", {"email": "bounce@simulator.amazonses.com", "name": "A"}).json()["id"]
    taken = []
    for number in range(events + 1):
        answer = laptop.post("/api/orders/", {"customer_id": customer, "items": [ITEM]})
        answered = time.monotonic()
        assert answer.status_code == 201
        arrived, event = Receiver.arrived.get(timeout=WARM_SECONDS)
        assert event["order_id"] == answer.json()["id"]
        # The first one waits for the worker's start.
        taken += [arrived - answered] * (number > 0)
        # Not in step with the relay, which looks every second.
        time.sleep(PAUSE_SECONDS * (0.5 + number % 10 / 10))
    wait_until(lambda: laptop.get("/api/exports/").json()["results"][0]["finished_at"], "The export")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.laptop", description=__doc__)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=60, help="of the measurement while nothing happens")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Laptop(Path(name), MAIL_FROM=Settings.mail_from) as laptop:
        taken = sorted(use(laptop, options.events))
        print(f"event to webhook: p50 {statistics.median(taken):.2f} s, slowest of {len(taken)} {taken[-1]:.2f} s")
        total, kinds = sizes(laptop)
        print(f"after use: {total:.0f} MB in {len(laptop.processes()) + 1} processes")
        print("".join(f"  {name}: {size:.0f} MB\n" for name, size in sorted(kinds.items())), end="")
        wait_until(
            lambda: len(laptop.processes("awslambdaric")) == len(laptop.processes("relay_outbox")),
            "The end of idle functions",
            2 * IDLE_SECONDS,
        )
        before, began = processor_seconds(laptop), time.monotonic()
        time.sleep(options.seconds)
        share = (processor_seconds(laptop) - before) / (time.monotonic() - began)
        total, kinds = sizes(laptop)
        print(f"idle: {total:.0f} MB, {share:.2%} of a core over {options.seconds} s")
        print("".join(f"  {name}: {size:.0f} MB\n" for name, size in sorted(kinds.items())), end="")


if __name__ == "__main__":
    main()
