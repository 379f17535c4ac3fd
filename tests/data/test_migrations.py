"""Migrations: once, in order, all or none, and never behind an edited file."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError

from local.postgres import EmbeddedPostgres
from tests.harness import Database, Service

STATE = """
WITH relations AS (
    SELECT json_agg(json_build_array(relname, relacl::text, c.xmin) ORDER BY relname) AS state
    FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace
), routines AS (
    SELECT json_agg(json_build_array(proname, p.xmin) ORDER BY proname, p.oid) AS state
    FROM pg_proc AS p WHERE pronamespace = 'public'::regnamespace
), done AS (
    SELECT json_agg(m ORDER BY name) AS state FROM schema_migrations AS m
), roles AS (
    SELECT json_agg(json_build_array(rolname, rolcanlogin) ORDER BY rolname) AS state
    FROM pg_authid WHERE rolname LIKE 'orders%'
)
SELECT json_build_array(relations.state, routines.state, done.state, roles.state)::text FROM relations, routines, done, roles
"""


@pytest.fixture
def empty(postgres: EmbeddedPostgres, functions: Service) -> Iterator[Database]:
    database = Database.create(postgres.server, "empty")
    yield database
    database.connection.close()
    server = postgres.server.connect("postgres")
    server.run("DROP DATABASE empty WITH (FORCE)")
    server.close()


@pytest.fixture
def folder(functions: Service, tmp_path: Path) -> Path:
    return Path(shutil.copytree(functions.module("migrate_database").MIGRATIONS, tmp_path / "migrations"))


@pytest.fixture
def migrate(functions: Service) -> Any:
    return functions.module("migrate_database").migrate


def test_a_second_run_changes_nothing(empty: Database, folder: Path, migrate: Any) -> None:
    names = [file.name for file in sorted(folder.glob("*.sql"))]
    assert sorted(migrate(empty.connection, folder)) == sorted(names)
    before = empty.value(STATE)
    assert migrate(empty.connection, folder) == []
    assert empty.value(STATE) == before


def test_an_edited_migration_is_refused_by_name(empty: Database, folder: Path, migrate: Any, functions: Service) -> None:
    migrate(empty.connection, folder)
    file = folder / "0001_customers_orders_items.sql"
    file.write_text(file.read_text() + "\n-- edited\n")
    with pytest.raises(functions.module("migrate_database").MigrationEdited, match="0001_customers_orders_items"):
        migrate(empty.connection, folder)


def test_a_new_migration_is_run_and_a_changed_function_replaced(empty: Database, folder: Path, migrate: Any) -> None:
    migrate(empty.connection, folder)
    (folder / "0099_notes.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    functions_file = folder / "functions.sql"
    functions_file.write_text(functions_file.read_text().replace("'sku', i.sku", "'sku', i.sku, 'note', 'x'"))
    assert migrate(empty.connection, folder) == ["0099_notes.sql", "functions.sql"]


def test_a_failing_migration_leaves_everything_as_it_was(empty: Database, folder: Path, migrate: Any) -> None:
    migrate(empty.connection, folder)
    before = empty.value(STATE)
    (folder / "0098_good.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    (folder / "0099_bad.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    with pytest.raises(DatabaseError):
        migrate(empty.connection, folder)
    empty.sql("ROLLBACK")
    assert empty.value(STATE) == before


def test_an_older_release_runs_on_a_newer_schema(empty: Database, folder: Path, migrate: Any) -> None:
    """A rollback invokes the former release's migration again."""
    newer = Path(shutil.copytree(folder, folder.parent / "newer"))
    (newer / "0099_notes.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    (newer / "functions.sql").write_text((newer / "functions.sql").read_text() + "\n-- newer\n")
    migrate(empty.connection, newer)
    assert migrate(empty.connection, folder) == ["functions.sql"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a integer)",
        "TRUNCATE order_items",
        "DELETE FROM orders",
        "UPDATE orders SET customer_id = 1",
        "UPDATE customer_totals SET spent_cents = 0",
        "UPDATE order_events SET type = 'x'",
        "SELECT * FROM pg_authid",
        "SELECT * FROM seed_runs",
        "SELECT recount_orders(ARRAY[1]::bigint[])",
        "DROP TABLE orders",
    ],
)
def test_the_api_role_may_only_what_endpoints_need(db: Database, statement: str) -> None:
    connection = db.connect("orders_app")
    with pytest.raises(DatabaseError, match="42501"):
        connection.run(statement)
    connection.close()


def test_no_role_but_the_owner_may_log_in_without_limits(db: Database) -> None:
    for role in ("orders_app", "orders_seeder", "orders_auditor"):
        settings = db.value("SELECT array_to_string(rolconfig, ',') FROM pg_roles WHERE rolname = :role", role=role)
        assert "statement_timeout" in settings
        assert "idle_in_transaction_session_timeout" in settings
    assert db.sql("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'migrator'") == [[False, False]]


def test_an_owner_like_rds_master_user_can_migrate(tmp_path: Path, migrate: Any, folder: Path) -> None:
    """No superuser; it may create roles, and pass on rds_iam."""
    cluster = EmbeddedPostgres(tmp_path / "rds", fsync="off")
    superuser = cluster.start().connect("postgres")
    superuser.run("CREATE ROLE rds_iam; CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'master'")
    superuser.run("GRANT rds_iam TO master WITH ADMIN OPTION")
    superuser.run("CREATE DATABASE rds OWNER master")
    superuser.close()
    master = replace(cluster.server, user="master", password="master", database="rds").connect()
    assert "functions.sql" in migrate(master, folder)
    assert migrate(master, folder) == []
    assert master.run("SELECT pg_has_role('orders_app', 'rds_iam', 'MEMBER')") == [[True]]
    assert master.run("SELECT tableowner::text FROM pg_tables WHERE tablename = 'orders'") == [["migrator"]]
    master.close()
    cluster.stop()
