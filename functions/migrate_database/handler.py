"""Brings the database to the schema of this release. Invoked by a deployment before the functions change.

Runs, in one transaction: `roles.sql` as the connecting owner, if it changed; every numbered file that was never run, in order,
none of which may change; and, if any of them changed, all of `current/`, where each view, function and trigger stands once in
its present form. Numbered files that only a newer release knows are left alone, so that a rollback can run this again.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orders.connection import Connection, connect
from orders.database import load_sql

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MIGRATIONS = Path(__file__).with_name("migrations")
ROLES = "roles.sql"
# In this order, because one builds on the other. Everything in them replaces itself, and works with the schema of one release
# before and after: a rollback runs the former release's files again.
IN_ORDER = ("documents", "events", "totals", "seeding", "exports", "audit", "webhooks", "mails", "rights")
CURRENT = tuple(f"current/{name}.sql" for name in IN_ORDER)
LOGIN_ROLES = ("orders_app", "orders_seeder", "orders_auditor", "orders_relay", "orders_exporter")
CONNECT_TIMEOUT_SECONDS = 10.0
DONE = "SELECT name, checksum FROM schema_migrations"
TAKE_TURNS = load_sql(__file__, "take_turns.sql")
DONE_TABLE = load_sql(__file__, "schema_migrations.sql")
RECORD = load_sql(__file__, "record.sql")
FORGET = load_sql(__file__, "forget.sql")


class MigrationEdited(Exception):
    """A numbered file differs from the one that was run under its name."""


def handler(event: dict[str, Any], context: "LambdaContext | None") -> dict[str, Any]:
    """{"applied": names of the files that were run, "current": name of the newest numbered file}."""
    with closing(connect(CONNECT_TIMEOUT_SECONDS)) as connection:
        applied = migrate(connection, MIGRATIONS)
    return {"applied": applied, "current": numbered_files(MIGRATIONS)[-1].name}


def numbered_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.sql"))


def migrate(connection: Connection, folder: Path) -> list[str]:
    """The names of the files that were run: either all of them, or none."""
    connection.run("BEGIN")
    connection.run(TAKE_TURNS)
    done = _done(connection)
    applied = _run(connection, folder, [] if done.get(ROLES) == _checksum(folder / ROLES) else [ROLES])
    connection.run("SET LOCAL ROLE migrator")
    connection.run(DONE_TABLE)
    for file in numbered_files(folder):
        if done.get(file.name, _checksum(file)) != _checksum(file):
            raise MigrationEdited(f"{file.name} was edited after it had been run; restore it and write a new migration")
    applied += _run(connection, folder, [file.name for file in numbered_files(folder) if file.name not in done])
    applied += _run_current(connection, folder, done)
    for name in applied:
        connection.run(RECORD, name=name, checksum=_checksum(folder / name))
    _begin_etag_generation(connection, new=not done)
    if "MAIL_FROM" in os.environ:
        connection.run(load_sql(__file__, "switch_mail.sql"), wanted=os.environ["MAIL_FROM"] != "")
    connection.run("RESET ROLE")
    _set_passwords(connection)
    connection.run("COMMIT")
    return applied


def _done(connection: Connection) -> dict[str, str]:
    exists = connection.run("SELECT to_regclass('schema_migrations') IS NOT NULL")[0][0]
    return dict(connection.run(DONE)) if exists else {}


def _run_current(connection: Connection, folder: Path, done: dict[str, str]) -> list[str]:
    """All of them unless the last release to run its own had the very same ones.

    That release's files may have had other names. Those are forgotten, so that its rollback runs them again.
    """
    ours = {name: _checksum(folder / name) for name in CURRENT}
    last = {name: checksum for name, checksum in done.items() if name != ROLES and not name[0].isdigit()}
    if last == ours:
        return []
    connection.run(FORGET, names=list(last.keys() - ours.keys()))
    return _run(connection, folder, CURRENT)


def _run(connection: Connection, folder: Path, names: Sequence[str]) -> list[str]:
    for name in names:
        connection.run((folder / name).read_text(encoding="utf-8"))
    return list(names)


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _begin_etag_generation(connection: Connection, *, new: bool) -> None:
    """A restored instance reuses transaction ids that clients hold ETags and cursors of, so each has its own generation."""
    # On the laptop nobody names it, and a new database may take the place of one that was deleted.
    instance = os.environ.get("DATABASE_INSTANCE", secrets.token_hex() if new else "")
    generation = hashlib.blake2b(instance.encode(), digest_size=4).hexdigest()
    if instance and connection.run("SELECT etag_generation()") != [[generation]]:
        connection.run(f"CREATE OR REPLACE FUNCTION etag_generation() RETURNS text STABLE PARALLEL SAFE RETURN '{generation}'")
        connection.run(load_sql(__file__, "show_events.sql"))
        if not new:
            connection.run(load_sql(__file__, "skip_ids.sql"))


def _set_passwords(connection: Connection) -> None:
    """The laptop's roles log in with a password; in the cloud they have none, and log in with IAM tokens."""
    password = os.environ.get("DATABASE_ROLE_PASSWORD")
    if password is None:
        return
    for role in LOGIN_ROLES:
        statement = connection.run(
            "SELECT format('ALTER ROLE %I PASSWORD %L', :role::text, :password::text)", role=role, password=password
        )
        connection.run(statement[0][0])
