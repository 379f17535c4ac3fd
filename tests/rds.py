"""A PostgreSQL that treats its users as RDS does: members of rds_iam log in with an IAM token, and only so.

On RDS, a line of pg_hba.conf sends members of rds_iam, including indirect ones, to a module that checks tokens.
Here they are refused over TCP; a door in front of the server checks tokens and enters through the server's Unix socket.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from local.postgres import EmbeddedPostgres, Server
from orders.driver import DatabaseError
from orders.iam import TOKEN_SECONDS, iam_token

MASTER, MASTER_PASSWORD = "postgres", "master"
ADMIN = "rdsadmin"
SSL_REQUEST = 80877103
CLEARTEXT_PASSWORD = struct.pack("!cii", b"R", 8, 3)
ACCESS = """
local all all trust
host all +rds_iam all reject
host all all all scram-sha-256
"""

Admits = Callable[[str, str], bool]


class RdsServer:
    """server: as RDS's own administrator, a superuser. The master user is not one, and owns the database.

    master_by_iam: as MasterUserAuthenticationType iam-db-auth leaves the master user.
    """

    def __init__(self, folder: Path, *, master_by_iam: bool = True) -> None:
        self.folder = folder
        self.cluster = EmbeddedPostgres(folder, fsync="off", unix_socket_directories=str(folder))
        owner = self.cluster.start()
        connection = owner.connect()
        connection.run(f"CREATE ROLE {ADMIN} SUPERUSER LOGIN PASSWORD '{owner.password}'")
        connection.close()
        self.server = replace(owner, user=ADMIN)
        self.sql(f"ALTER ROLE {MASTER} RENAME TO initdb")
        self.sql(f"CREATE ROLE {MASTER} LOGIN CREATEROLE CREATEDB PASSWORD '{MASTER_PASSWORD}'; CREATE ROLE rds_iam")
        self.sql(f"ALTER DATABASE {owner.database} OWNER TO {MASTER}")
        if master_by_iam:
            self.sql(f"GRANT rds_iam TO {MASTER} WITH ADMIN OPTION")
        self.cluster.stop()
        (folder / "data" / "pg_hba.conf").write_text(ACCESS)
        self.cluster.server = self.server
        self.cluster.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.stop()

    def sql(self, statement: str) -> list[list[object]]:
        connection = self.server.connect()
        try:
            return connection.run(statement)
        finally:
            connection.close()

    @property
    def master(self) -> Server:
        """Connects with the password that RDS gave it."""
        return replace(self.server, user=MASTER, password=MASTER_PASSWORD)

    @property
    def socket(self) -> str:
        return socket_of(self.server)


def socket_of(server: Server) -> str:
    """The Unix socket of a server, as the server reports it."""
    connection = server.connect()
    folder = connection.run("SHOW unix_socket_directories")[0][0]
    connection.close()
    return f"{folder}/.s.PGSQL.{server.port}"


def members_of_rds_iam(server: Server) -> Callable[[str], bool]:
    """Tells whether RDS would check a user's token."""

    def is_member(user: str) -> bool:
        connection = server.connect()
        try:
            return bool(connection.run("SELECT pg_has_role(:user::name, 'rds_iam', 'MEMBER')", user=user)[0][0])
        except DatabaseError:
            return False
        finally:
            connection.close()

    return is_member


def token_is_good(token: str, user: str, port: int) -> bool:
    """As AWS judges it, for this process's credentials: issued for this user and this door, signed, and not expired."""
    address = urlsplit(f"https://{token}")
    given = {name: values[0] for name, values in parse_qs(address.query).items()}
    try:
        made = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        region = given["X-Amz-Credential"].split("/")[2]
    except (KeyError, ValueError, IndexError):
        return False
    in_time = abs(datetime.now(UTC) - made) < timedelta(seconds=TOKEN_SECONDS)
    return in_time and token == iam_token(str(address.hostname), port, user, region, made)


@dataclass
class IamDoor:
    """Listens on 127.0.0.1. A user whom `by_token` accepts enters with a good token, to the Unix socket or TCP port `inside`;
    all others are passed on to `outside`, where PostgreSQL asks for their passwords."""

    inside: str | int
    outside: int | None = None
    by_token: Callable[[str], bool] = lambda user: True
    certificate: Path | None = None

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self.stopped = self.loop.create_future()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),), daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set_result, None)
        self.thread.join()
        self.loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._admit, sock=self.listener)
        await self.stopped
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            startup = await self._startup(reader, writer)
            words = startup[8:].split(b"\0")
            user = words[words.index(b"user") + 1].decode()
            if await asyncio.to_thread(self.by_token, user):
                writer.write(CLEARTEXT_PASSWORD)
                header = await reader.readexactly(5)
                password = (await reader.readexactly(int.from_bytes(header[1:]) - 4)).rstrip(b"\0").decode()
                if not token_is_good(password, user, self.port):
                    fields = b"SFATAL\0C28000\0MPAM authentication failed for user\0\0"
                    writer.write(b"E" + struct.pack("!i", len(fields) + 4) + fields)
                    await writer.drain()
                    return
                target = self.inside
            else:
                assert self.outside is not None
                target = self.outside
            await self._pass_on(startup, target, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The startup message, after TLS if the client requests it and this door has a certificate."""
        while True:
            length = await reader.readexactly(4)
            rest = await reader.readexactly(int.from_bytes(length) - 4)
            if int.from_bytes(rest[:4]) != SSL_REQUEST:
                return length + rest
            writer.write(b"S" if self.certificate else b"N")
            if self.certificate:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
                await writer.start_tls(context)

    async def _pass_on(
        self, startup: bytes, target: str | int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(target, str):
            inner_reader, inner_writer = await asyncio.open_unix_connection(target)
        else:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        inner_writer.write(startup)
        try:
            directions = [asyncio.create_task(_copy(reader, inner_writer)), asyncio.create_task(_copy(inner_reader, writer))]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for task in directions:
                task.cancel()
        finally:
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
