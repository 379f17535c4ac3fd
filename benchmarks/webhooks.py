"""`python -m benchmarks.webhooks`: the laptop's cloud delivers events to a receiver on this machine.

Prints how many deliveries per second that are, which only says something on a machine of its own, and per 1,000 deliveries the
processor time of each part and the transactions of PostgreSQL. --beside: so many other webhooks have events as well, whose
receivers answer only after some seconds.
"""

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from drill.laptop import Laptop
from drill.servers import wait_until
from local.postgres import EmbeddedPostgres, Server

EVENTS = """
INSERT INTO events (customer_id, sequence, type, request_id, changes)
SELECT :customer, n, 'customer.updated', 'r', '{}' FROM generate_series(:first::integer, :last::integer) AS n
"""
# Before the measurement, for each function to start as many environments as it can use.
WARM = 100
# Of the webhook that the figures are about: the others' deliveries may take as long as they want.
LEFT = "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = :webhook AND status <> 'succeeded'"
TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, seconds: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.seconds = seconds
        self.connections = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.seconds)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The figures say it."""


def processor_seconds(laptop: Laptop, postgres: psutil.Process) -> dict[str, float]:
    """Of each part, by the function's name."""
    spent: dict[str, float] = defaultdict(float)
    parts = [psutil.Process(laptop.process.pid), *laptop.processes(), postgres, *postgres.children(recursive=True)]
    for process in parts:
        with suppress(psutil.Error):
            name = process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "") or process.name()
            spent[name.replace("python", "laptop")] += sum(process.cpu_times()[:4])
    return spent


def add(laptop: Laptop, receiver: Receiver) -> int:
    answer = laptop.post("/api/webhooks/", {"url": receiver.url, "types": ["customer.updated"]})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def run(laptop: Laptop, database: Server, postgres: psutil.Process, options: argparse.Namespace) -> None:
    connection = database.connect()
    receiver = Receiver()
    webhook = add(laptop, receiver)
    for _ in range(options.beside):
        add(laptop, Receiver(options.seconds))
    customer = laptop.post("/api/customers/", {"email": "a@shop.example.com", "name": "A"}).json()["id"]
    connection.run(EVENTS, customer=customer, first=2, last=WARM + 1)
    wait_until(lambda: connection.run(LEFT, webhook=webhook) == [[0]], "The first deliveries", 120)
    before, began, met = processor_seconds(laptop, postgres), time.monotonic(), receiver.connections
    [[transactions]] = connection.run(TRANSACTIONS)
    connection.run(EVENTS, customer=customer, first=WARM + 2, last=WARM + 1 + options.events)
    while connection.run(LEFT, webhook=webhook) != [[0]]:
        time.sleep(0.5)
    taken = time.monotonic() - began
    after = processor_seconds(laptop, postgres)
    spent = {name: seconds - before.get(name, 0) for name, seconds in after.items()}
    thousands = options.events / 1000
    [[ended]] = connection.run(TRANSACTIONS)
    print(f"{options.events} deliveries, {options.events / taken:.0f} per second, {receiver.connections - met} connections")
    print(f"per 1,000: {sum(spent.values()) / thousands:.2f} s of CPU, {(ended - transactions) / thousands:.0f} transactions")
    for name in sorted(spent, key=spent.__getitem__, reverse=True):
        print(f"  {name}: {spent[name] / thousands:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--beside", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8, help="until the others' receivers answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        embedded = EmbeddedPostgres(Path(name) / "postgres")
        database = embedded.start()
        assert embedded.process is not None
        try:
            url = f"postgresql://{database.user}:{database.password}@{database.host}:{database.port}/{database.database}"
            with Laptop(Path(name) / "cloud", DATABASE_URL=url) as laptop:
                run(laptop, database, psutil.Process(embedded.process.pid), options)
        finally:
            embedded.stop()


if __name__ == "__main__":
    main()
