"""The command line as people start it: a process of its own, against the laptop cloud or a small server."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drill.laptop import Laptop

PROGRAM = str(Path(sys.executable).with_name("orders"))
SECONDS = 60


def heed_ctrl_c() -> None:
    """Whoever started the tests may have them ignore ctrl-C, as a shell does for what runs in its background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        """What --json prints about a failure."""
        return json.loads(self.err)["error"]


@dataclass
class Shell:
    """Runs `orders` with its own home, and with nothing of the developer's settings."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def full_environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**inherited, "HOME": str(self.home), "COLUMNS": "119", **self.environment}

    def start(self, *words: str | int, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [PROGRAM, *map(str, words)],
            env=self.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - one system call
            **options,
        )

    def __call__(self, *words: str | int | Path, stdin: str | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [PROGRAM, *map(str, words)],
            env={**self.full_environment(), **environment},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str | int | Path, **options: Any) -> Ended:
        ended = self(*words, **options)
        assert ended.code == 0, ended
        return ended


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def orders(shell: Shell, laptop: Laptop) -> Shell:
    shell.environment["ORDERS_URL"] = laptop.url
    return shell
