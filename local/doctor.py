"""`make doctor`: what this machine lacks to run, test and deploy the service, each with its remedy.

Needs nothing but a Python, even one that is too old for the service; what is not installed yet cannot be used here. Exit
status 1 if there is a problem. A note is something that only part of the work needs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
HIGHEST_PORT = 65535
OLDEST, DEPLOYED = (3, 11), (3, 13)
# Where the Makefile looks, in its order.
PYTHONS = (
    "python3.13",
    *map(str, sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python"))),
    "python3",
    "python3.12",
    "python3.11",
)
# The environment with everything that tests and deployments need, the laptop's data and a seed run.
LEAST_FREE_GB = 3
COMMAND_SECONDS = 30


class Finding(NamedTuple):
    """kind: ok, note or problem."""

    kind: str
    what: str
    remedy: str = ""


def python() -> Iterator[Finding]:
    found = {name: _version(name) for name in PYTHONS if shutil.which(name)}
    suitable = {name: version for name, version in found.items() if version >= OLDEST}
    if not suitable:
        have = ", ".join("{} is {}.{}".format(name, *version) for name, version in found.items()) or "none was found"
        install = "Install 3.13: apt install python3.13 python3.13-venv, brew install python@3.13, or pyenv install 3.13."
        yield Finding("problem", f"Python 3.11 or newer is needed: {have}.", install)
        return
    name, version = next(iter(suitable.items()))
    yield Finding("ok", "Python {}.{} ({}).".format(*version, name))
    if not _succeeds([name, "-c", "import ensurepip, venv"]):
        yield Finding("problem", f"{name} cannot make virtual environments.", f"Install its package: apt install {name}-venv.")
    if DEPLOYED not in suitable.values():
        later = "Cold starts of a deployment from here take longer. Install python3.13 before you deploy to production."
        yield Finding("note", "Python 3.13 is missing, which alone compiles bytecode for Lambda.", later)


def _version(name: str) -> tuple[int, ...]:
    """(0,) if it cannot say."""
    code = "import sys; print('%d %d' % sys.version_info[:2])"
    answer = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS)
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 and answer.stdout else (0, 0)


def port() -> Iterator[Finding]:
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        yield Finding("problem", f"PORT must be a number up to {HIGHEST_PORT}, not {text!r}.", "PORT=8000 make run")
        return
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", int(text)))
        except OSError as reason:
            other = f"Stop the program that listens there, or choose another port: PORT={int(text) % 60000 + 1} make run"
            yield Finding("problem", f"Port {text} cannot be used: {reason}.", other)
        else:
            yield Finding("ok", f"Port {text} is free.")


def folder() -> Iterator[Finding]:
    wanted = Path(os.environ.get("LOCAL_FOLDER", str(ROOT / ".local"))).resolve()
    existing = next(path for path in (wanted, *wanted.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=str(existing)):
            pass
    except OSError as reason:
        elsewhere = f"Become its owner (chown -R {_user()} {existing}), or choose another: LOCAL_FOLDER=… make run"
        yield Finding("problem", f"Nothing can be written to {existing}: {reason.strerror}.", elsewhere)
    free = shutil.disk_usage(str(existing)).free / 2**30
    if free < LEAST_FREE_GB:
        more = "Make room (`make reset` deletes the laptop's data), or keep it elsewhere: LOCAL_FOLDER=… make run"
        yield Finding("problem", f"{existing} has {free:.1f} GB left, and {LEAST_FREE_GB} GB are needed.", more)
    else:
        yield Finding("ok", f"{existing} has {free:.0f} GB left.")


def _user() -> str:
    return os.environ.get("USER") or "$USER"


def namespaces() -> Iterator[Finding]:
    if not sys.platform.startswith("linux"):
        yield Finding("note", "The tests of the deployment artefact need Linux; they are skipped here.", "CI runs them.")
    elif not shutil.which("unshare"):
        yield Finding("note", "unshare is missing: the tests of the artefact are skipped.", "apt install util-linux")
    elif _succeeds(["unshare", "--map-root-user", "--mount", "true"]):
        yield Finding("ok", "User namespaces are available.")
    else:
        allow = (
            "sudo sysctl -w user.max_user_namespaces=15000 kernel.apparmor_restrict_unprivileged_userns=0; in a container, "
            "start it with --security-opt seccomp=unconfined."
        )
        yield Finding("note", "User namespaces are not available: the tests of the artefact are skipped.", allow)


def packages() -> Iterator[Finding]:
    if any((ROOT / ".venv" / name).exists() for name in ("run", "test", "cdk")):
        yield Finding("ok", "The packages are installed.")
        return
    asked = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--retries=0",
        "--timeout=10",
        "index",
        "versions",
        "uv",
    ]
    if _succeeds(asked):
        yield Finding("ok", "The package index answers; the next make installs what is missing.")
    else:
        network = "Check the network. Behind a proxy set HTTPS_PROXY, and for a mirror PIP_INDEX_URL."
        yield Finding("problem", "The package index cannot be reached, and nothing is installed yet.", network)


def database() -> Iterator[Finding]:
    url = os.environ.get("DATABASE_URL")
    if not url:
        yield Finding("ok", "PostgreSQL comes with the packages.")
        return
    try:
        from local.postgres import PostgresFailed, Server  # noqa: PLC0415 - may not be installed yet
    except (ImportError, SyntaxError):
        yield from _reachable(url)
        return
    try:
        server = Server.from_url(url)
        server.check()
    except PostgresFailed as reason:
        yield Finding("problem", *str(reason).split("\n", 1))
    else:
        yield Finding("ok", f"{server.address} lets its owner in.")


def _reachable(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 5432), timeout=5).close()
    except (OSError, ValueError) as reason:
        start = "Start it, correct DATABASE_URL, or unset it to use the server that comes with the packages."
        yield Finding("problem", f"Nothing answers at DATABASE_URL: {reason}.", start)
    else:
        yield Finding(
            "note", "Something answers at DATABASE_URL.", "Run `make doctor` again after `make run` has installed the driver."
        )


def aws() -> Iterator[Finding]:
    """In a process of its own: the laptop's code knows nothing of the deployment's."""
    command = [sys.executable, "-m", "cdk.doctor", *sys.argv[1:]]
    run = subprocess.run(command, cwd=str(ROOT), capture_output=True, text=True, check=False)
    if run.returncode:
        yield Finding("note", "AWS was not examined: what deployments need is not installed.", "make .venv/cdk")
    for line in run.stdout.splitlines():
        yield Finding(*json.loads(line)) if line.startswith("[") else Finding("note", line)


def _succeeds(command: list[str]) -> bool:
    try:
        run = subprocess.run(command, capture_output=True, check=False, timeout=COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (python, packages, port, folder, database, namespaces, aws)


def main() -> None:
    problems = 0
    for check in CHECKS:
        for finding in check():
            problems += finding.kind == "problem"
            print(f"{finding.kind:<8} {finding.what}", flush=True)
            if finding.remedy:
                print(f"{'':<8} -> {finding.remedy}")
    print(f"{problems} problem{'' if problems == 1 else 's'}")
    sys.exit(problems > 0)


if __name__ == "__main__":
    main()
