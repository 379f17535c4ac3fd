"""The results of a run, stored as JSON, from which the tables, the document and the plots are built."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.workers import FASTIFY, NODE, PEERS_PYTHON

PEER_PACKAGES = [
    *("django", "djangorestframework", "apig-wsgi"),
    *("fastapi", "sqlalchemy", "psycopg", "mangum", "litestar", "asyncpg", "msgspec", "redis"),
]


@dataclass
class Results:
    """warm, cold, seed: seconds by scenario and implementation. mixed: by implementation.

    depths: seconds by scenario and part of our call: statement, driver and ours, each with the one before it; again is the
    whole call right after another. mixed: requests per second, processor seconds of the function and of PostgreSQL per 1,000
    requests.
    """

    size: int
    command: str
    titles: dict[str, str]
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warm: dict[str, dict[str, float]] = field(default_factory=dict)
    cold: dict[str, dict[str, float]] = field(default_factory=dict)
    seed: dict[str, dict[str, float]] = field(default_factory=dict)
    depths: dict[str, dict[str, float]] = field(default_factory=dict)
    mixed: dict[str, tuple[float, float, float]] = field(default_factory=dict)


def machine() -> dict[str, str]:
    processor = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": f"{os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"Linux {platform.release()}",
    }


def versions(postgres: str) -> dict[str, str]:
    found = {"PostgreSQL": postgres, "Python": platform.python_version(), "pg8000": version("pg8000")}
    if NODE.exists():
        found["Node"] = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("fastify", "postgres", "@fastify/aws-lambda"):
            package = FASTIFY / "node_modules" / name / "package.json"
            if package.exists():
                found[name] = json.loads(package.read_text())["version"]
    if PEERS_PYTHON.exists():
        code = f"from importlib.metadata import version\nfor name in {PEER_PACKAGES!r}: print(version(name))"
        lines = subprocess.run([PEERS_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        found |= dict(zip(PEER_PACKAGES, lines, strict=True))
    return found
