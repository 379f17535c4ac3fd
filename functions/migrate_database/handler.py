"""Brings the database to the schema of this release. Invoked by a deployment before the functions change.

Runs, in one transaction: `roles.sql` as the connecting owner; every numbered file that was never run, in order; and
`functions.sql`, which always stands in its present form. A file is run again only if it changed, and a numbered one may not
change. Files that only a newer release knows are left alone, so that a rollback can run this again.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orders.connection import Connection, connect

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MIGRATIONS = Path(__file__).with_name("migrations")
LOGIN_ROLES = ("orders_app", "orders_seeder", "orders_auditor")
CONNECT_TIMEOUT_SECONDS = 10.0
# A comment on the database locks it against other comments until the transaction ends, so that two deployments at once wait for
# each other. Only the database's owner may comment, and there is a database before the first migration: an advisory lock could
# be held by any role that can log in, and a table to lock does not exist yet.
TAKE_TURNS = """
DO $$
BEGIN
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'Its schema is changed by migrations alone.');
END
$$
"""

DONE = "SELECT name, checksum FROM schema_migrations"
DONE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
RECORD = """
INSERT INTO schema_migrations (name, checksum) VALUES (:name, :checksum)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()
"""


class MigrationEdited(Exception):
    """A numbered file differs from what was run under its name."""


def handler(event: dict[str, Any], context: "LambdaContext | None") -> dict[str, Any]:
    """{"applied": names of the files that were run, "current": name of the newest numbered file}."""
    connection = connect(CONNECT_TIMEOUT_SECONDS)
    try:
        applied = migrate(connection, MIGRATIONS)
    finally:
        connection.close()
    return {"applied": applied, "current": numbered_files(MIGRATIONS)[-1].name}


def numbered_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.sql"))


def migrate(connection: Connection, folder: Path) -> list[str]:
    """The names of the files that were run. Either all of them are, or none."""
    connection.run("BEGIN")
    connection.run(TAKE_TURNS)
    done = _done(connection)
    applied = _run_if_changed(connection, folder / "roles.sql", done)
    connection.run("SET LOCAL ROLE migrator")
    connection.run(DONE_TABLE)
    for file in numbered_files(folder):
        if done.get(file.name, _checksum(file)) != _checksum(file):
            raise MigrationEdited(f"{file.name} was edited after it had been run; restore it and write a new migration")
        applied += _run_if_changed(connection, file, done)
    applied += _run_if_changed(connection, folder / "functions.sql", done)
    for name in applied:
        connection.run(RECORD, name=name, checksum=_checksum(folder / name))
    _begin_etag_generation(connection)
    connection.run("RESET ROLE")
    _set_passwords(connection)
    connection.run("COMMIT")
    return applied


def _done(connection: Connection) -> dict[str, str]:
    exists = connection.run("SELECT to_regclass('schema_migrations') IS NOT NULL")[0][0]
    return dict(connection.run(DONE)) if exists else {}


def _run_if_changed(connection: Connection, file: Path, done: dict[str, str]) -> list[str]:
    if done.get(file.name) == _checksum(file):
        return []
    connection.run(file.read_text(encoding="utf-8"))
    return [file.name]


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _begin_etag_generation(connection: Connection) -> None:
    """A restored instance uses transaction ids again that clients hold validators of: each instance has its own generation."""
    instance = os.environ.get("DATABASE_INSTANCE")
    if instance is None:
        return
    generation = hashlib.blake2b(instance.encode(), digest_size=4).hexdigest()
    if connection.run("SELECT etag_generation()") != [[generation]]:
        connection.run(
            f"CREATE OR REPLACE FUNCTION etag_generation() RETURNS text IMMUTABLE PARALLEL SAFE RETURN '{generation}'"
        )


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
