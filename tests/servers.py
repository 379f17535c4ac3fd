"""What the tests put between a function and PostgreSQL: a transaction pooler, and a proxy that can be told to misbehave."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from local.postgres import Server, accepts_connections, free_port, without_root

WAIT_SECONDS = 30


def wait_until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


class PgBouncer:
    """PgBouncer in transaction mode, with fewer server connections than clients."""

    def __init__(self, folder: Path, server: Server, user: str, password: str, pool_size: int = 2) -> None:
        self.port = free_port()
        (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
        (folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"{server.database} = host={server.host} port={server.port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = scram-sha-256\n"
            f"auth_file = {folder / 'users.txt'}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {pool_size}\n"
            "max_client_conn = 200\n"
        )
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        assert program, "PgBouncer is not installed; `make test` installs it where it can"
        command = [*(without_root(folder) if os.geteuid() == 0 else []), program, str(folder / "pgbouncer.ini")]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: accepts_connections(self.port), "PgBouncer's start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
