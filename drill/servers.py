"""Servers between a function and PostgreSQL: a transaction pooler, and a proxy that misbehaves on demand."""

import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

from local.postgres import Server, accepts_connections, free_port, without_root

WAIT_SECONDS = 30
DELAY_SECONDS = 0.3


def wait_until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


class PgBouncer:
    """PgBouncer in transaction mode, with fewer server connections than clients."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        users: Mapping[str, str],
        *,
        socket_folder: Path | None = None,
        pool_size: int = 2,
        **settings: str,
    ) -> None:
        """users: their passwords, empty if none is required. socket_folder: of the server's Unix socket, instead of TCP."""
        self.folder = folder
        self.port = free_port()
        (folder / "users.txt").write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))
        (folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={socket_folder or server.host} port={server.port} dbname={server.database}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            f"auth_type = {'scram-sha-256' if all(users.values()) else 'trust'}\n"
            f"auth_file = {folder / 'users.txt'}\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {pool_size}\n"
            "max_client_conn = 200\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        self.start()

    def start(self) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
        assert program, "PgBouncer is not installed; `make test` installs it where it can"
        command = [*(without_root(self.folder) if os.geteuid() == 0 else []), program, str(self.folder / "pgbouncer.ini")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: accepts_connections(self.port), "PgBouncer's start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """At once: whoever waits for an answer gets none."""
        self.process.terminate()
        self.process.wait()


class Proxy:
    """A TCP proxy in front of PostgreSQL that counts round trips and fails on demand.

    A round trip is a turn of the conversation: the client speaks, then the server does.
    """

    def __init__(self, server: Server) -> None:
        self.target = (server.host, server.port)
        self.round_trips = 0
        # What happens to the server's next bytes: they are forwarded, later or at once, or silently dropped, or the connection
        # is cut: as a rule after COMMIT, since the server speaks when a batch is done.
        self.answers: Literal["forward", "delay", "swallow", "cut"] = "forward"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.sockets: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.cut()

    def cut(self) -> None:
        """Ends every connection, in both directions."""
        for known in list(self.sockets):
            with suppress(OSError):
                known.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(self.target)
                    for known in (client, server):
                        known.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except OSError:
                    client.close()
                    continue
                self.sockets |= {client, server}
                threading.Thread(target=self._converse, args=(client, server), daemon=True).start()

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        clients_turn = True
        with suppress(OSError, ValueError):
            while True:
                readable, _, _ = select.select([client, server], [], [])
                source = client if client in readable else server
                data = source.recv(65536)
                if not data:
                    break
                if source is client:
                    clients_turn = True
                    server.sendall(data)
                    continue
                if clients_turn:
                    clients_turn = False
                    self.round_trips += 1
                if self.answers == "cut":
                    break
                if self.answers == "delay":
                    time.sleep(DELAY_SECONDS)
                if self.answers != "swallow":
                    client.sendall(data)
        for known in (client, server):
            with suppress(OSError):
                known.shutdown(socket.SHUT_RDWR)
            known.close()
            self.sockets.discard(known)
