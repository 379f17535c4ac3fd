"""What is deployed: one function per folder, routes from operations.json, and settings from function.toml beyond the defaults.

Both clouds read this, the laptop (local/) and AWS (cdk/).
"""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parent.parent
FUNCTIONS = ROOT / "functions"
OPENAPI = ROOT / "openapi.json"
# What the handlers declare of requests: the gateways route by it, and a cold start reads it to check them.
OPERATIONS = ROOT / "layers" / "orders" / "python" / "orders" / "operations.json"
# What anybody may call without a token. Both clouds refuse any other route without scopes, as it is open by mistake.
OPEN_ROUTES = frozenset(
    {
        "GET /",
        "GET /api",
        "GET /api/docs",
        "GET /api/health",
        "GET /api/openapi.json",
        "GET /console/signed-in",
        "GET /console/{version}/{name}",
        "GET /console/{version}/{name}/{file}",
        "GET /favicon.ico",
    }
)


@dataclass(frozen=True)
class Route:
    """path: in API Gateway's form, without trailing slash. scopes: any one suffices; none means open to everyone."""

    method: str
    path: str
    scopes: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def paths(self) -> tuple[str, ...]:
        """As API Gateway gets them: with a twin that takes a trailing slash, which the root always has."""
        return (self.path,) if self.path == "/" else (self.path, f"{self.path}/{{proxy+}}")


@dataclass(frozen=True)
class Queue:
    """A worker's queue. name: what rows of the outbox call it. max_concurrency: of its batches, in the cloud.

    once: SQS delivers no message twice unless its worker was killed or too slow, for work that cannot be done once by itself.
    keep_days: how long its dead letters lie there, and at most how long its messages wait.
    """

    name: str
    batch_size: int
    max_receives: int
    # Workers must leave connections for the API.
    max_concurrency: int = 5
    once: bool = False
    keep_days: int = 14

    @property
    def suffix(self) -> str:
        """What SQS wants the names of such queues, which it calls FIFO, to end with."""
        return ".fifo" if self.once else ""


@dataclass(frozen=True)
class Schedule:
    """on_laptop: whether the laptop runs it on schedule as well. at_start: whether it does so from its start on."""

    rate_minutes: int
    on_laptop: bool = True
    at_start: bool = False


@dataclass(frozen=True)
class Function:
    """One folder of functions/. The fields with defaults are the keys of function.toml.

    Without a database user a function has no database: it runs outside the network, and can reach the internet instead.
    reads_replica: it only reads, and what it reads may be seconds old. It is connected to a replica where the stage has one.
    sends_to: names of the queues that it sends messages to; * means all of them.
    area: the functions of an area have a nested stack of their own in the cloud, as no stack has room for all functions.
    bucket: what it does with the files of exports.
    layers: further folders of layers/, with the packages that only this function needs.
    """

    name: str
    folder: Path
    routes: tuple[Route, ...]
    trigger: Literal["http", "queue", "schedule", "deploy"] = "http"
    timeout_seconds: int = 10
    memory_mb: int = 512
    database_user: str = "orders_app"
    reads_replica: bool = False
    environment: tuple[str, ...] = ()
    sends_to: tuple[str, ...] = ()
    bucket: Literal["", "read", "write"] = ""
    layers: tuple[str, ...] = ()
    stages: tuple[str, ...] = ("dev", "prod")
    area: str = ""
    queue: Queue | None = field(default=None)
    schedule: Schedule | None = field(default=None)

    @property
    def has_database(self) -> bool:
        return self.database_user != ""

    @property
    def lease_seconds(self) -> int:
        """How long a message is this worker's alone. AWS's advice: enough time for Lambda's retries of one batch."""
        return 6 * self.timeout_seconds

    def may_send_to(self, queue: str) -> bool:
        return "*" in self.sends_to or queue in self.sends_to


def camel_case(name: str) -> str:
    """A queue's name as constructs and outputs of stacks have it."""
    return "".join(part.capitalize() for part in name.split("_"))


def load_functions(folder: Path = FUNCTIONS, operations: Path = OPERATIONS) -> tuple[Function, ...]:
    """All functions by name. Raises ValueError if a folder and operations.json disagree, or a route is open by mistake."""
    routes = _routes(json.loads(operations.read_text(encoding="utf-8")))
    functions = tuple(
        _load(handler.parent, routes.pop(handler.parent.name, ())) for handler in sorted(folder.glob("*/handler.py"))
    )
    if routes:
        raise ValueError(f"operations.json names functions without a folder: {', '.join(routes)}; run `make openapi`")
    for function in functions:
        if (function.trigger == "http") != bool(function.routes):
            raise ValueError(
                f"{function.name} has trigger {function.trigger!r} and {len(function.routes)} routes; run `make openapi`"
            )
        if function.reads_replica and function.trigger not in ("queue", "schedule"):
            raise ValueError(f"{function.name} reads_replica, but a client expects to read what it has just written")
        if function.area and function.trigger not in ("http", "queue"):
            raise ValueError(f"{function.name} has an area, but schedules and migrations belong to the stack around the areas")
        for route in function.routes:
            if not route.scopes and route.key not in OPEN_ROUTES:
                raise ValueError(f"{route.key} has no scopes and is not one of OPEN_ROUTES")
            if not route.scopes and function.area:
                raise ValueError(f"{function.name} has an area, but the gateway's throttle of open routes is outside of it")
    return functions


def _load(folder: Path, routes: tuple[Route, ...]) -> Function:
    settings: dict[str, Any] = {}
    if (folder / "function.toml").exists():
        settings = tomllib.loads((folder / "function.toml").read_text(encoding="utf-8"))
    for name in ("environment", "sends_to", "layers", "stages"):
        if name in settings:
            settings[name] = tuple(settings[name])
    if "queue" in settings:
        settings["queue"] = Queue(**settings["queue"])
    if "schedule" in settings:
        settings["schedule"] = Schedule(**settings["schedule"])
    return Function(name=folder.name, folder=folder, routes=routes, **settings)


def _routes(declared: dict[str, Any]) -> dict[str, tuple[Route, ...]]:
    """Function name → its routes."""
    found: dict[str, tuple[Route, ...]] = {}
    for path, operations in declared["paths"].items():
        for method, operation in operations.items():
            name = operation["function"]
            found[name] = (*found.get(name, ()), Route(method.upper(), path, tuple(operation["scopes"])))
    return found
