"""Brings the database to the schema of this release. Invoked by a deployment before the functions change.

Runs, in one transaction: `roles.sql` as the connecting owner; every numbered file that was never run, in order; and
`functions.sql`, which always stands in its present form. A file is run again only if it changed, and a numbered one may not
change. Files that only a newer release knows are left alone, so that a rollback can run this again.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orders.database import Connection, connect

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MIGRATIONS = Path(__file__).with_name("migrations")
LOGIN_ROLES = ("orders_app", "orders_seeder", "orders_auditor")
# Any constant will do; two deployments at once wait for each other. Held by the transaction, so a crash releases it.
MIGRATION_LOCK = 7_305_148
CONNECT_TIMEOUT_SECONDS = 10.0

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
    connection = connect(CONNECT_TIMEOUT_SECONDS, **owner_credentials())
    try:
        applied = migrate(connection, MIGRATIONS)
    finally:
        connection.close()
    return {"applied": applied, "current": numbered_files(MIGRATIONS)[-1].name}


def owner_credentials() -> dict[str, str]:
    """From the secret that RDS manages for its master user, or, on the laptop, from DATABASE_USER and DATABASE_PASSWORD."""
    secret = os.environ.get("DATABASE_SECRET_ARN")
    if secret is None:
        return {}
    import boto3  # noqa: PLC0415 - costs more than everything else here, and the laptop has no secret

    value = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    return {"user": value["username"], "password": value["password"]}


def numbered_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.sql"))


def migrate(connection: Connection, folder: Path) -> list[str]:
    """The names of the files that were run. Either all of them are, or none."""
    connection.run("BEGIN")
    connection.run("SELECT pg_advisory_xact_lock(:lock)", lock=MIGRATION_LOCK)
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
