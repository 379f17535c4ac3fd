"""How the service fares under load, without faults: `make load`. DOCUMENT=1 writes the figures into docs/reliability.md.

many clients    1,000 over ten connections to PostgreSQL, compared with ten clients: which answers come, and how many
a large seed    how long a list takes while a million rows are made and exported, compared with nothing else going on
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill.__main__ import MILLION
from drill.note import table, write_section
from drill.stage import Stage

FEW, MANY = 10, 1000
POOL = 10
SECONDS = 20
# Until every client has its connection, and has been answered once: not counted.
WARM_UP_SECONDS = 8
IDLE_SECONDS = 30
# Few and many take turns, since others may work on the machine.
ROUNDS = 3
# Above what any answer needs that is not stuck: with 1,000 clients each waits for all the others.
PATIENCE_SECONDS = 60
ALLOWED = {200, 201, 429, 503}
CUSTOMERS = 200
LIST = "/api/orders/?limit=50"


@dataclass
class Tally:
    """Answers by status, None for none, and how long each took, in seconds. counted: successes between warm-up and end."""

    statuses: Counter[int | None] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    counted: int = 0

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


class Caller:
    """One connection that is kept. httpx would take more of the machine than the service does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int | None, Any]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ask(method, path, body, key)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return None, None

    async def _ask(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-length: {len(content)}\r\n"
        head += "content-type: application/json\r\n" if content else ""
        head += f"idempotency-key: {key}\r\n" if key else ""
        self.writer.write(head.encode() + b"\r\n" + content)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split(" ")[1]), json.loads(answer) if answer else None

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def mixed(caller: Caller, customers: list[int], name: str, begin: float, tally: Tally) -> None:
    """Orders are made, read, changed, paid and listed."""
    chance = random.Random(name)
    orders = [1]
    count = 0
    while time.monotonic() < begin + SECONDS:
        count += 1
        order = chance.choice(orders)
        item = {"sku": name, "quantity": 1, "unit_price_cents": 100}
        calls: list[tuple[Any, ...]] = [
            ("POST", "/api/orders/", {"customer_id": chance.choice(customers), "items": [item]}, f"{name}-{count}"),
            ("GET", f"/api/orders/{order}/"),
            ("PATCH", f"/api/orders/{order}/", {"metadata": {"a": str(count)}}),
            ("GET", "/api/orders/?limit=10"),
            ("GET", "/api/orders/summary/?limit=10"),
            ("GET", "/api/customers/?limit=10"),
            ("GET", "/api/events/?limit=10"),
        ]
        call = chance.choices(calls, (4, 6, 2, 1, 1, 1, 1))[0]
        begun = time.monotonic()
        status, document = await caller.ask(*call)
        tally.statuses[status] += 1
        tally.seconds.append(time.monotonic() - begun)
        tally.counted += begin < time.monotonic() < begin + SECONDS and status in (200, 201)
        if status == 201:
            orders.append(document["id"])
    caller.close()


async def clients(stage: Stage, count: int, tally: Tally) -> None:
    [first] = [row[0] for row in stage.sql("SELECT min(id) FROM customers")]
    customers = list(range(first, first + CUSTOMERS))
    begin = time.monotonic() + WARM_UP_SECONDS
    names = [f"{count}-{number}-{begin:.0f}" for number in range(count)]
    await asyncio.gather(*(mixed(Caller(stage.port), customers, name, begin, tally) for name in names))


def many_clients(stage: Stage) -> tuple[dict[str, str], list[str]]:
    """The figures, and what is not as it should be."""
    few, many = Tally(), Tally()
    for _ in range(ROUNDS):
        asyncio.run(clients(stage, FEW, few))
        asyncio.run(clients(stage, MANY, many))
    rates = [tally.counted / (SECONDS * ROUNDS) for tally in (few, many)]
    servers = stage.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'orders_app'")[0][0]
    foreign = {status: count for status, count in many.statuses.items() if status not in ALLOWED}
    figures = {
        "answers to 1,000 clients": ", ".join(
            f"{count:,} × {status}" for status, count in sorted(many.statuses.items(), key=str)
        ),
        "answers per second, 10 clients": f"{rates[0]:.0f}",
        "answers per second, 1,000 clients": f"{rates[1]:.0f} ({rates[1] / rates[0]:.0%})",
        "median and p99, 10 clients": f"{few.percentile(0.5) * 1000:.0f} and {few.percentile(0.99) * 1000:.0f} ms",
        "median and p99, 1,000 clients": f"{many.percentile(0.5):.1f} and {many.percentile(0.99):.1f} s",
        "connections of the functions to PostgreSQL": f"{servers}",
    }
    wrong = [f"answers {foreign}"] if foreign else []
    wrong += [f"{rates[1] / rates[0]:.0%} of the throughput"] if rates[1] < 0.8 * rates[0] else []
    return figures, wrong + ([f"{servers} connections"] if servers > POOL else [])


async def lists(stage: Stage, over: asyncio.Event) -> Tally:
    tally, caller = Tally(), Caller(stage.port)
    while not over.is_set():
        begun = time.monotonic()
        status, _ = await caller.ask("GET", LIST)
        tally.statuses[status] += 1
        tally.seconds.append(time.monotonic() - begun)
        await asyncio.sleep(0.02)
    caller.close()
    return tally


async def listing_while_seeding(stage: Stage) -> tuple[Tally, Tally, float, int]:
    """Idle, and while a million rows are made and exported; how many seconds that took, and how many rows were exported."""
    await seeded(stage, {**MILLION, "customers": MILLION["customers"] // 10})
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(IDLE_SECONDS, over.set)
    idle = await lists(stage, over)
    over = asyncio.Event()
    listing, exporting = asyncio.create_task(lists(stage, over)), asyncio.create_task(exported(stage, over))
    took = await seeded(stage, MILLION)
    over.set()
    return idle, await listing, took, await exporting


async def exported(stage: Stage, over: asyncio.Event) -> int:
    """All items, again and again; returns how many rows that were."""
    caller, rows = Caller(stage.port), 0
    while not over.is_set():
        export: Any = (await caller.ask("POST", "/api/exports/", {"kind": "items", "format": "jsonl"}))[1]
        while not export["finished_at"] and not over.is_set():
            await asyncio.sleep(1)
            export = (await caller.ask("GET", f"/api/exports/{export['id']}/"))[1] or export
        assert export["status"] in ("queued", "running", "succeeded"), export
        rows += export["rows"]
    caller.close()
    return rows


async def seeded(stage: Stage, numbers: dict[str, int]) -> float:
    """Makes the rows, and returns how many seconds that took."""
    caller, begun = Caller(stage.port), time.monotonic()
    run: Any = (await caller.ask("POST", "/api/dev/seed/", numbers))[1]
    while not run["finished_at"]:
        await asyncio.sleep(1)
        run = (await caller.ask("GET", f"/api/dev/seed/{run['id']}/"))[1] or run
    caller.close()
    assert (run["status"], run["rows_done"]) == ("succeeded", run["rows_total"]), run
    return time.monotonic() - begun


def large_seed(stage: Stage) -> tuple[dict[str, str], list[str]]:
    idle, busy, took, rows = asyncio.run(listing_while_seeding(stage))
    ratio = busy.percentile(0.99) / idle.percentile(0.99)
    figures = {
        "p99 of a list of 50 orders, idle": f"{idle.percentile(0.99) * 1000:.1f} ms of {len(idle.seconds):,}",
        "p99 while a million rows are made and items are exported": (
            f"{busy.percentile(0.99) * 1000:.1f} ms of {len(busy.seconds):,} ({ratio:.1f} ×)"
        ),
        "median, idle and meanwhile": f"{idle.percentile(0.5) * 1000:.1f} and {busy.percentile(0.5) * 1000:.1f} ms",
        "the million rows took": f"{took:.0f} s",
        "rows exported meanwhile": f"{rows:,}",
    }
    wrong = [f"other answers than 200: {busy.statuses}"] if set(busy.statuses) != {200} else []
    return figures, wrong + ([f"p99 grew {ratio:.1f} ×"] if ratio > 2 else [])


def main() -> None:
    wrong: list[str] = []
    lines: list[str] = []
    for title, measure, pooled in (("Many clients", many_clients, True), ("A large seed", large_seed, False)):
        if len(sys.argv) > 1 and sys.argv[1] not in measure.__name__:
            continue
        with (
            tempfile.TemporaryDirectory(prefix="orders-load-") as folder,
            Stage(Path(folder), pooled=pooled, pool_size=POOL, chaos="") as stage,
        ):
            stage.sql(
                "INSERT INTO customers (email, name) SELECT n || '@load.example.com', 'load' FROM generate_series(1, :n) AS n",
                n=CUSTOMERS,
            )
            stage.sql("INSERT INTO orders (customer_id) SELECT min(id) FROM customers")
            figures, found = measure(stage)
        print(f"\n{title}", *(f"  {name}: {figure}" for name, figure in figures.items()), *found, sep="\n")
        wrong += found
        lines += ["", f"{title}:", "", *table(figures)]
    write_section("load", "make load", lines[1:])
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
