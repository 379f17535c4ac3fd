"""What a drill is played on: the laptop's cloud over HTTP, and behind it proxy, pooler and PostgreSQL.

clients → gateway and functions (python -m local) → Proxy → [PgBouncer →] PostgreSQL
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from contract.functions import ROOT, load_functions
from contract.redrive import LAPTOP_FILE
from drill.clock import Clock, libfaketime
from drill.laptop import Laptop
from drill.receiver import Receiver
from drill.servers import PgBouncer, Proxy, wait_until
from local.cloud import role_password
from local.postgres import EmbeddedPostgres, PostgresFailed, free_port
from local.sqs import client
from orders.connection import Connection, ConnectionLost
from orders.driver import DatabaseError, InterfaceError

# More than the functions of one cloud keep, and few enough to be used up.
CONNECTIONS = 100
DISK_MEGABYTES = 3000
# What the queues do all the time; they can also delay.
CHAOS = "duplicate,reorder"
# Whom the pooler lets in.
ROLES = frozenset(function.database_user for function in load_functions()) - {"owner"}
# Functions that no client calls.
WORKERS = tuple(function.name for function in load_functions() if function.trigger in ("queue", "schedule"))
# Those that deliver once, of mails, cannot be made anew while a worker looks at them.
QUEUES = tuple(f"orders-{function.queue.name}" for function in load_functions() if function.queue and not function.queue.once)
ALL_QUEUES = tuple(
    f"orders-{function.queue.name}{function.queue.suffix}" for function in load_functions() if function.queue is not None
)
# Whom a drill's mails are from.
SENDER = "Orders <orders@drill.example.com>"
# Of a server that is not only slow, but hangs.
RECOVERY_SECONDS = 120
# Seconds within which a mail is reported that SES has taken.
REPORT_SECONDS = 5
UNREACHABLE = (DatabaseError, InterfaceError, ConnectionLost, OSError)


class Stage:
    """root: the checkout whose service is drilled. pooled: whether PgBouncer is between from the beginning.

    disk, clock: whether PostgreSQL has a small disk, and a clock that can jump. sender: whom mails are from; none are sent if
    it is empty.
    """

    def __init__(
        self,
        folder: Path,
        root: Path = ROOT,
        *,
        disk: bool = False,
        clock: bool = False,
        pooled: bool = False,
        pool_size: int = 6,
        chaos: str = CHAOS,
        sender: str = "",
    ) -> None:
        self.folder, self.root, self.sender = folder, root, sender
        self.port = free_port()
        self.pooled, self.pool_size, self.chaos = pooled, pool_size, chaos
        self.mounted = disk and mount(folder / "disk")
        self.database_folder = folder / "disk" / "postgres" if self.mounted else folder / "postgres"
        self.clock = Clock(self.database_folder, libfaketime() if clock else None)
        self.killed: list[tuple[float, float]] = []
        # When what came of a mail may have been lost, in seconds since 1970: on its way to the queue, and in it.
        self.mails_killed: list[float] = []
        self.reports_lost: list[tuple[float, float]] = []
        self.lines: list[str] = []
        self.pooler: PgBouncer | None = None
        self.receiver = Receiver()
        self.starts = 0
        # What faults have done, for the report.
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        try:
            self.postgres = EmbeddedPostgres(self.database_folder, max_connections=str(CONNECTIONS))
            self.postgres.environment = self.clock.environment
            self.postgres.start()
            self.proxy = Proxy(self.postgres.server)
            if has_pgbouncer():
                users = dict.fromkeys(ROLES, role_password(self.postgres.server.password))
                users["postgres"] = self.postgres.server.password
                (self.folder / "pooler").mkdir()
                # Patient for as long as a function is, and back as soon as the server is.
                self.pooler = PgBouncer(
                    self.folder / "pooler",
                    self.postgres.server,
                    users,
                    pool_size=self.pool_size,
                    server_login_retry="1",
                    query_wait_timeout="5",
                )
            self.between(self.pooled)
            self.receiver.start()
            self.start_cloud()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "laptop") and self.laptop.process.poll() is None:
            # All has been judged. A farewell takes half a minute where the processors are taken.
            self.kill_cloud()
        for part in (getattr(self, "proxy", None), self.pooler):
            if part is not None:
                part.__exit__()
        self.receiver.stop()
        if postgres := getattr(self, "postgres", None):
            postgres.stop()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.folder / "disk")], check=False)

    def between(self, pooled: bool) -> None:
        """Puts PgBouncer between the functions and PostgreSQL, or takes it away."""
        self.pooled = pooled and self.pooler is not None
        port = self.pooler.port if self.pooled and self.pooler is not None else self.postgres.server.port
        self.proxy.target = ("127.0.0.1", port)
        self.proxy.cut()

    def start_cloud(self) -> None:
        self.starts += 1
        server = self.postgres.server
        url = f"postgresql://{server.user}:{server.password}@127.0.0.1:{self.proxy.port}/{server.database}"
        settings = {"DATABASE_URL": url, "PORT": str(self.port), "QUEUE_CHAOS": self.chaos, "MAIL_FROM": self.sender}
        self.laptop = Laptop(self.folder / "cloud", self.root, ("local",), **settings)
        self.url = self.laptop.url

    def kill_cloud(self) -> None:
        started = self.laptop.processes()
        with self.losing_reports():
            self.laptop.stop(signal.SIGKILL)
        self.laptop.close()
        self.lines += self.laptop.lines
        psutil.wait_procs(started, timeout=20)

    def output(self) -> list[str]:
        return [*self.lines, *self.laptop.lines]

    def connect(self) -> Connection:
        """As the owner, around proxy and pooler."""
        return self.postgres.server.connect()

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A connection that is dropped in the end: the server may be gone by then, and has nobody to say farewell to."""
        connection = self.connect()
        try:
            yield connection
        finally:
            connection.abandon()

    def sql(self, statement: str, **parameters: Any) -> list[list[Any]]:
        with self.session() as connection:
            return connection.run(statement, **parameters)

    def environments(self, *functions: str) -> list[psutil.Process]:
        """The functions' processes: of those named, or of all."""
        wanted = set(functions)
        found = []
        for process in self.laptop.processes("awslambdaric"):
            with suppress(psutil.Error):
                if not wanted or process.environ().get("AWS_LAMBDA_FUNCTION_NAME") in wanted:
                    found.append(process)
        return found

    def kill(self, processes: list[psutil.Process]) -> int:
        """Notes when, since requests may end in the gateway's own 500 just then, and just then only."""
        begun, killed = time.monotonic(), 0
        for process in processes:
            with suppress(psutil.Error):
                name = process.environ()["AWS_LAMBDA_FUNCTION_NAME"]
                process.kill()
                killed += 1
                self.counts["relays and workers killed" if name in WORKERS else "functions killed"] += 1
                if name == "send_mail":
                    self.mails_killed.append(time.time())
        self.killed.append((begun, time.monotonic() + 1))
        return killed

    @contextmanager
    def refusing(self, service: str) -> Iterator[None]:
        """A service of the laptop's AWS answers 503."""
        file = self.folder / "cloud" / "refusing" / service
        file.touch()
        try:
            yield
        finally:
            file.unlink()

    @contextmanager
    def losing_reports(self) -> Iterator[None]:
        """Whatever is in the queues meanwhile may be lost, and with it what came of mails."""
        begun = time.time()
        try:
            yield
        finally:
            self.reports_lost.append((begun, time.time()))

    def lost_record_of_mail(self, sent: float, again: float) -> bool:
        """Whether it may have been lost that a mail was sent, so that it had to be sent again."""
        killed = any(sent - 1 < at < sent + REPORT_SECONDS for at in self.mails_killed)
        return killed or any(begun < again and sent < ended for begun, ended in self.reports_lost)

    def terminate_backends(self) -> int:
        """Of everybody but the owner."""
        return len(self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'orders\\_%'"))

    def restart_postgres(self) -> None:
        """After its end."""
        self.counts["ends of PostgreSQL"] += 1
        for _ in range(5):
            with suppress(PostgresFailed):
                self.postgres.restart()
                return
            if not self.postgres.ended():
                # It still recovers, and another one would not start beside it.
                wait_until(self.reachable, "PostgreSQL's recovery", RECOVERY_SECONDS)
                return
        raise PostgresFailed("PostgreSQL did not start again")

    def revive_postgres(self) -> list[str]:
        """Where it has ended, its last words."""
        if not self.postgres.ended():
            return []
        said = (self.postgres.folder / "log").read_text(errors="replace").splitlines()
        self.restart_postgres()
        return [line for line in said[-30:] if "PANIC" in line or "FATAL" in line][-1:] or said[-1:]

    def reachable(self) -> bool:
        with suppress(*UNREACHABLE):
            self.connect().close()
            return True
        return False

    def known(self) -> dict[str, Any]:
        """What the laptop says of its queues."""
        found: dict[str, Any] = json.loads((self.folder / "cloud" / LAPTOP_FILE).read_text())
        return found

    @contextmanager
    def aws(self, service: str) -> Iterator[Any]:
        """A client of the cloud's queues or files."""
        made = client(service, self.known()["endpoint"])
        yield made
        made.close()

    def waiting(self) -> int:
        """How many messages could be delivered now. Of those that are delivered once, some may have to wait for others."""
        name = "ApproximateNumberOfMessages"
        with self.aws("sqs") as client:
            urls = [client.get_queue_url(QueueName=queue)["QueueUrl"] for queue in QUEUES]
            found = [client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"] for url in urls]
        return sum(int(attributes[name]) for attributes in found)

    def answers_a_write(self, chance: random.Random) -> bool:
        """A customer is made: gateway, function and database all work."""
        body = {"email": f"probe-{chance.getrandbits(64):x}@probe.example.com", "name": "probe"}
        with suppress(httpx.HTTPError):
            return httpx.post(f"{self.url}/api/customers/", json=body, timeout=10).status_code == 201
        return False

    def megabytes(self) -> float:
        """Of all processes of the cloud but the functions' own, which come and go: their proportional set size."""
        return psutil.Process(self.laptop.process.pid).memory_full_info().pss / 2**20


def has_pgbouncer() -> bool:
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin") is not None


def mount(folder: Path) -> bool:
    """A small file system of its own, where this user may mount one: as root, outside of most containers."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


__all__ = ["Stage", "wait_until"]
