"""The laptop cloud: database, functions, queue and gateway, started in order and stopped in reverse order."""

import asyncio
import hmac
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from contract.edge import leases, variables
from contract.functions import FUNCTIONS, OPENAPI, ROOT, Function, Schedule, load_functions
from contract.redrive import LAPTOP_FILE
from local.auth import AUDIENCE, AUTHORIZE_PATH, TOKEN_PATH, Authorizer, Issuer, fetch_keys
from local.console import Console
from local.gateway import Gateway
from local.guard import LOOPBACK_ORIGINS, Guard
from local.mail import LIST, Mailbox
from local.outage import Outage
from local.postgres import EmbeddedPostgres, PostgresFailed, Server
from local.runtime import FunctionPool, Launch, lambda_environment
from local.sign_in import CLIENT
from local.sqs import BUCKET, Chaos, Poller, QueueServer
from local.watch import changed, snapshot
from local.web import web_server
from orders.driver import DatabaseError, InterfaceError

LAYER = ROOT / "layers" / "orders" / "python"
# Where AWS's native client does not exist (macOS, Windows), its bootstrap runs on ours.
RUNTIME_CLIENT = Path(__file__).parent / "runtime_client"
TICK_SECONDS = 0.5
SEND_AGAIN = "UPDATE outbox SET due_at = now() WHERE sends > 0 RETURNING id"
# A queue that delivers once is left alone: it may still have the message.
TRY_AGAIN = "UPDATE outbox SET due_at = now() WHERE sends > 0 AND queue = ANY (:queues::text[])"
EXPIRE_EXPORTS = "UPDATE exports SET expires_at = now() WHERE status = 'succeeded' AND expires_at > now()"


class CannotStart(Exception):
    """The message is shown to the user at the terminal."""


@dataclass(frozen=True)
class Settings:
    """How the cloud is started; `python -m local --help` lists the variables that they come from."""

    folder: Path = ROOT / ".local"
    port: int = 8000
    database_url: str | None = None
    auth: bool = False
    jwt_issuer: str | None = None
    jwt_audience: str = AUDIENCE
    cors_origins: tuple[str, ...] = LOOPBACK_ORIGINS
    allowed_hosts: tuple[str, ...] = ()
    chaos: Chaos = field(default_factory=Chaos)
    log_level: str = "INFO"
    seed_max_unfinished_rows: int = 50_000_000
    # Whom mails are from; none are sent if it is empty.
    mail_from: str = "Orders <orders@laptop.example.com>"
    # Set by the tests of the deployment artefact, which run what CDK packaged instead of the sources in functions/.
    launch: Callable[[Function, dict[str, str]], Launch] | None = None


def role_password(owner_password: str) -> str:
    """For the functions' roles. Derived from the owner's, so that two clouds on one server do not lock each other out."""
    return hmac.new(owner_password.encode(), b"orders roles", "sha256").hexdigest()


class Cloud:
    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings = settings
        self.console = console
        self.functions: dict[str, FunctionPool] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.embedded: EmbeddedPostgres | None = None
        self.pollers: list[Poller] = []
        self.queue: QueueServer | None = None
        self.web: uvicorn.Server | None = None
        self.issuer: Issuer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def role_password(self) -> str:
        return role_password(self.database.password)

    async def start(self) -> None:
        """Raises CannotStart or PostgresFailed; what was started by then has to be stopped."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        listening = listen(self.settings.port)
        self.port: int = listening.getsockname()[1]
        guard = Guard.of_port(self.port, self.settings.allowed_hosts, self.settings.cors_origins)
        authorizer = self._authorizer()
        mailbox = Mailbox(self.settings.folder / "mail", self.settings.mail_from, self._tell_of_mail)
        self.gateway = Gateway(self.console, authorizer, guard, self.issuer, mailbox)
        self.database = await asyncio.to_thread(self._start_database)
        self._load_functions()
        workers = [function for function in self.functions.values() if function.definition.queue is not None]
        definitions = [worker.definition for worker in workers]
        outage = Outage(self.settings.folder / "refusing")
        self.queue = await asyncio.to_thread(QueueServer, definitions, lambda moto: outage.around(mailbox.around(moto)))
        known = {"endpoint": self.queue.endpoint, "dead_letters": self.queue.dead_letter_urls}
        (self.settings.folder / LAPTOP_FILE).write_text(json.dumps(known), encoding="utf-8")
        await self._migrate()
        await asyncio.to_thread(self._end_leases)
        self.pollers = [Poller(self.queue, worker, self.console, self.settings.chaos) for worker in workers]
        for poller in self.pollers:
            poller.start()
        await self._serve(listening)
        self.tasks += [asyncio.create_task(task()) for task in (self._watch, self._supervise, *self._schedules())]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.web is not None:
            self.web.should_exit = True
            await self.serving
        await asyncio.gather(*(poller.stop() for poller in self.pollers))
        await asyncio.gather(*(function.stop() for function in self.functions.values()))
        if self.queue is not None:
            await asyncio.to_thread(self.queue.stop)
        if self.embedded is not None:
            await asyncio.to_thread(self.embedded.stop)

    def _authorizer(self) -> Authorizer | None:
        if not self.settings.auth:
            return None
        try:
            if self.settings.jwt_issuer:
                return Authorizer(self.settings.jwt_issuer, self.settings.jwt_audience, fetch_keys(self.settings.jwt_issuer))
        except (ValueError, OSError, KeyError) as reason:
            raise CannotStart(f"Authorization cannot be set up: {reason}") from reason
        self.issuer = Issuer(self.settings.folder, self.url)
        return Authorizer(self.issuer.url, AUDIENCE, self.issuer.key_set())

    def _start_database(self) -> Server:
        if self.settings.database_url:
            server = Server.from_url(self.settings.database_url)
            server.check()
            return server
        self.embedded = EmbeddedPostgres(self.settings.folder / "postgres")
        return self.embedded.start()

    def _load_functions(self) -> None:
        """Adds new functions and updates the settings of known ones."""
        launch = self.settings.launch or _launch_from_source
        for function in load_functions():
            known = self.functions.get(function.name)
            if known is None:
                self.functions[function.name] = FunctionPool(
                    function, lambda wanted: launch(wanted, self._variables(wanted)), self.console
                )
            else:
                known.definition = function
        self.gateway.set_functions(self.functions.values())

    def _variables(self, function: Function) -> dict[str, str]:
        """What CDK sets on a deployed function, with the laptop's values."""
        queues = {} if self.queue is None else self.queue.urls
        known = [pool.definition for pool in self.functions.values()]
        settings = {
            "SEED_MAX_UNFINISHED_ROWS": str(self.settings.seed_max_unfinished_rows),
            "EXPORTS_BUCKET": BUCKET,
            # Receivers on a laptop are on that laptop.
            "WEBHOOKS_TO_ANYWHERE": "1",
            "MAIL_FROM": self.settings.mail_from,
            "MAIL_CONFIGURATION_SET": "orders-local",
            "MAILS_PATH": LIST,
            # Not of a worker that was added since the start, and has no queue yet.
            "QUEUE_LEASES": leases(each for each in known if each.queue is not None and each.queue.name in queues),
        }
        settings |= self._sign_in()
        found = variables(function, stage="local", settings=settings, queues=queues, log_level=self.settings.log_level)
        found |= self.database.environment
        if function.trigger == "deploy":
            return {**found, "DATABASE_ROLE_PASSWORD": self.role_password}
        if function.sends_to and self.queue is not None:
            found |= {"AWS_ENDPOINT_URL_SQS": self.queue.endpoint, "AWS_ENDPOINT_URL_SESV2": self.queue.endpoint}
        if function.bucket and self.queue is not None:
            found["AWS_ENDPOINT_URL_S3"] = self.queue.endpoint
        return {**found, "DATABASE_USER": function.database_user, "DATABASE_PASSWORD": self.role_password}

    def _tell_of_mail(self, event: str) -> None:
        """As SNS does."""
        assert self.queue is not None
        self.queue.client.send_message(QueueUrl=self.queue.urls["mail_feedback"], MessageBody=event)

    def _sign_in(self) -> dict[str, str]:
        """Where people get tokens; nowhere if none are required. Relative addresses hold under every name of the gateway."""
        if self.issuer is None:
            return {"OAUTH_ISSUER": (self.settings.jwt_issuer or "") if self.settings.auth else ""}
        own = {"OAUTH_AUTHORIZE_URL": AUTHORIZE_PATH, "OAUTH_TOKEN_URL": TOKEN_PATH, "OAUTH_CLIENT_ID": CLIENT}
        return {"OAUTH_ISSUER": self.issuer.url, **own}

    async def _migrate(self) -> None:
        migration = self.functions["migrate_database"]
        result = await migration.invoke({})
        await migration.stop()  # not needed again soon, and it holds the owner's password
        if result.failed:
            raise CannotStart(f"The database could not be migrated: {result.json.get('errorMessage')}")
        for name in result.json["applied"]:
            self.console.line("migrate_database", f"ran {name}")

    def _end_leases(self) -> None:
        """moto forgets messages and files when it stops. Nobody wants to wait for leases, nor for files that are gone."""
        connection = self.database.connect()
        if forgotten := connection.run(SEND_AGAIN):
            self.console.line("queue", f"{len(forgotten)} messages are sent again")
        connection.run(EXPIRE_EXPORTS)
        connection.close()

    def _try_again(self) -> None:
        """What was tried without a database too often is a dead letter by now. Nobody wants to wait for its lease."""
        queues = [pool.definition.queue for pool in self.functions.values()]
        connection = self.database.connect()
        connection.run(TRY_AGAIN, queues=[queue.name for queue in queues if queue is not None and not queue.once])
        connection.close()

    async def _serve(self, listening: socket.socket) -> None:
        self.web = web_server(self.gateway)
        # Signals are handled once for the whole cloud, not by the web server.
        self.serving = asyncio.create_task(self.web._serve([listening]))
        while not self.web.started:
            if self.serving.done():
                self.serving.result()
                raise CannotStart("The gateway did not start")
            await asyncio.sleep(0.01)

    async def _supervise(self) -> None:
        """Restarts PostgreSQL when it has ended, and stops idle environments."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self.embedded is not None and self.embedded.ended():
                self.console.problem("postgres", "The server has ended; restarting it")
                with suppress(PostgresFailed, DatabaseError, InterfaceError, OSError):
                    await asyncio.to_thread(self.embedded.restart)
                    await asyncio.to_thread(self._try_again)
            for function in [each for each in self.functions.values() if each.environments]:
                await function.retire_idle()

    async def _watch(self) -> None:
        folders = [FUNCTIONS, LAYER, OPENAPI]
        before = await asyncio.to_thread(snapshot, folders)
        while True:
            await asyncio.sleep(TICK_SECONDS)
            after = await asyncio.to_thread(snapshot, folders)
            if files := changed(before, after):
                await self._apply_changes(files)
            before = after

    async def _apply_changes(self, files: set[Path]) -> None:
        try:
            self._load_functions()
        except (ValueError, TypeError) as reason:
            self.console.problem("local", str(reason))
            return
        shared = any(LAYER in file.parents for file in files)
        for name, function in self.functions.items():
            if shared or any(function.definition.folder in file.parents for file in files):
                await function.recycle()
                self.console.line(name, "changed; the next request runs the new code") if not shared else None
        if shared:
            self.console.line("layers/orders", "changed; the next requests run the new code")
        if any("migrations" in file.parts for file in files):
            try:
                await self._migrate()
            except CannotStart as reason:
                self.console.problem("migrate_database", str(reason))

    def _schedules(self) -> list[Callable[[], Any]]:
        async def run(function: FunctionPool, schedule: Schedule) -> None:
            due = time.monotonic() + (0 if schedule.at_start else schedule.rate_minutes * 60)
            while True:
                await asyncio.sleep(max(0, due - time.monotonic()))
                due += schedule.rate_minutes * 60
                result = await function.invoke({"source": "aws.scheduler"})
                if result.failed and schedule.at_start:
                    # Whoever has just broken it and repaired it again does not want to wait for the next minute.
                    due = time.monotonic() + 2 * TICK_SECONDS

        return [
            lambda function=function: run(function, function.definition.schedule)  # type: ignore[misc]
            for function in self.functions.values()
            if function.definition.schedule is not None and function.definition.schedule.on_laptop
        ]


def _launch_from_source(function: Function, variables: dict[str, str]) -> Launch:
    """The function's folder as it is, with the layer on the path and third-party packages from this interpreter."""
    paths = [LAYER] if sys.platform == "linux" else [LAYER, RUNTIME_CLIENT]
    environment = {
        **lambda_environment(function, function.folder),
        # Bytecode is neither written next to the sources nor compiled again in every cold start.
        "PYTHONPYCACHEPREFIX": str(ROOT / ".local" / "bytecode"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        **variables,
    }
    return Launch([sys.executable, "-m", "awslambdaric", "handler.handler"], function.folder, environment)


def listen(port: int) -> socket.socket:
    # The protocol is explicit because asyncio only then turns off Nagle's algorithm, which delays each answer by 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as reason:
        listening.close()
        raise CannotStart(
            f"Port {port} is in use. Stop the program that listens there, or choose another port: PORT={port + 1} make run"
        ) from reason
    return listening
