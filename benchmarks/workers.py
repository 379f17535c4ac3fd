"""The compared implementations, each in a process that answers events; worker.py describes the protocol."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.events import Call

ROOT = Path(__file__).parent.parent
FUNCTIONS = ROOT / "functions"
PEERS = ROOT / "benchmarks" / "peers"
WORKER = ROOT / "benchmarks" / "worker.py"
NODE = Path(sys.executable).with_name("node")
PEERS_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
FASTIFY = PEERS / "fastify"
FASTIFY_HANDLER = FASTIFY / "dist" / "handler.js"


class WorkerFailed(Exception):
    """A worker has ended; the message contains its last output."""


class Report(NamedTuple):
    seconds: float
    answer: dict[str, Any]


class Worker:
    """A process that answers one message at a time."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT
            )

    def call(self, message: dict[str, Any]) -> Report:
        self.send(message)
        report = self.receive()
        return Report(report["seconds"], report["answer"])

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._failed()
        report: dict[str, Any] = json.loads(line)
        return report

    def stop(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _failed(self) -> WorkerFailed:
        return WorkerFailed("\n".join(self.log.read_text(errors="replace").splitlines()[-15:]))


@dataclass(frozen=True)
class Implementation:
    """command: starts a worker, followed by the functions that it holds. needs: exists once it is installed."""

    name: str
    title: str
    command: tuple[str, ...]
    needs: Path
    one_function_each: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def message(self, call: Call) -> dict[str, Any]:
        return {"function": call.function if self.one_function_each else "app", "event": call.event}

    def start(self, database: dict[str, str], log: Path, *functions: str) -> Worker:
        """functions: those that will be called; a peer holds all of them anyway."""
        folders = [f"{name}={FUNCTIONS / name}" for name in functions] if self.one_function_each else []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return Worker([*self.command, *folders], {**inherited, **self.environment, **database}, log)


def _python_peer(name: str, title: str, folder: str) -> Implementation:
    command = (str(PEERS_PYTHON), str(WORKER), f"app={PEERS / folder}")
    return Implementation(name, title, command, PEERS_PYTHON, environment={"PYTHONPATH": str(PEERS / "common")})


OURS = Implementation(
    "ours",
    "this service",
    (sys.executable, str(WORKER)),
    FUNCTIONS,
    one_function_each=True,
    environment={
        "PYTHONPATH": str(ROOT / "layers" / "orders" / "python"),
        "POWERTOOLS_METRICS_NAMESPACE": "Orders",
        "LOG_LEVEL": "WARNING",
        "STAGE": "bench",
    },
)


# Parts of what it does, in processes of their own.
DEPTHS = {
    depth: replace(
        OURS,
        name=depth,
        command=(sys.executable, "-m", "benchmarks.depths"),
        environment={**OURS.environment, "DEPTH": depth},
    )
    for depth in ("statement", "driver")
}


def _fastify(name: str, title: str, handler: Path, **environment: str) -> Implementation:
    return Implementation(
        name, title, (str(NODE), str(FASTIFY / "worker.js"), str(handler)), FASTIFY_HANDLER, environment=environment
    )


# Bundled, as CDK does: most of a start is finding many small files.
FASTIFY_BUNDLED = _fastify("fastify", "Fastify + postgres.js", FASTIFY_HANDLER)
PEER_IMPLEMENTATIONS = [
    _python_peer("django", "Django + DRF", "django"),
    _python_peer("fastapi", "FastAPI + SQLAlchemy 2", "fastapi"),
    _python_peer("litestar", "Litestar + asyncpg", "litestar"),
    FASTIFY_BUNDLED,
]
# Other ways to ship the same program, which only affect its start.
COLD_VARIANTS = [
    _fastify("fastify_files", "Fastify, node_modules as installed", FASTIFY / "handler.js"),
    _fastify(
        "fastify_cache",
        "Fastify, bundled, with Node's compile cache",
        FASTIFY_HANDLER,
        NODE_COMPILE_CACHE=str(FASTIFY / "dist" / "cache"),
    ),
]
