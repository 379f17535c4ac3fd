"""The laptop cloud as a developer starts it: a separate process, called over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from contract.functions import ROOT
from drill.servers import wait_until

START_SECONDS = 60
# PostgreSQL alone may take ten for its last checkpoint, and more where it waits for its turn of a processor.
STOP_SECONDS = 60
OWN = {"PYTHONPATH": "layers/orders/python", "PORT": "0", "MAIL_FROM": ""}
# To its last words: before them, tokens are printed.
READY = re.compile(r"ready:\s+(http://\S+).*stops everything", re.DOTALL)


class Laptop:
    """`python -m local` with its own data folder and port. root: the checkout to run, by default this one.

    Unless the test asks for them it sends no mails, whose functions would take the processors from the others.
    """

    def __init__(self, folder: Path, root: Path = ROOT, module: tuple[str, ...] = ("local",), **environment: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DATABASE_", "AWS_", "SEED_", "SEEDING_", "QUEUE_", "POWERTOOLS_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=root,
            env={**inherited, **OWN, "LOCAL_FOLDER": str(folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        wait_until(
            lambda: READY.search(self.output) or self.process.poll() is not None, "The laptop cloud's start", START_SECONDS
        )
        ready = READY.search(self.output)
        assert ready, self.output
        self.url = ready[1]
        self.http = httpx.Client(base_url=self.url, timeout=40)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self.close()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        self.http.close()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def processes(self, *words: str) -> list[psutil.Process]:
        """Running processes of the cloud whose command or function name contains one of the words."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                text = " ".join(process.cmdline()) + process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "")
            except psutil.Error:
                continue
            if not words or any(word in text for word in words):
                found.append(process)
        return found

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def seed(self, **numbers: int) -> str:
        answer = self.post("/api/dev/seed/", numbers)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def finished(self, run: str, seconds: float = 90) -> dict[str, Any]:
        """The run, once it has ended."""
        last: dict[str, Any] = {}

        def over() -> bool:
            answer = self.get(run)
            # The run cannot be read while the database is down, which does not mean that it has ended.
            last.update(answer.json() if answer.status_code == 200 else {})
            return last.get("status") in ("succeeded", "failed", "cancelled")

        wait_until(over, f"The end of {run}", seconds)
        return last

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))


def row_count(laptop: Laptop) -> int:
    """Customers, orders and items, counted through the API."""
    rows, path = 0, "/api/orders/summary/?limit=200"
    while path:
        page = json.loads(laptop.get(path).text)
        rows += sum(1 + row["order_count"] + row["item_count"] for row in page["results"])
        path = page["next"]
    return rows
