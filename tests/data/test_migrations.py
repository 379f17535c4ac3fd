"""Migrations: once, in order, all or none, and never from a file that was edited later."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.postgres import EmbeddedPostgres
from orders.driver import DatabaseError
from orders.iam import iam_token
from tests.harness import ROLE_PASSWORD, Database, Service
from tests.rds import MASTER, IamDoor, RdsServer, members_of_rds_iam, token_is_good

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


@pytest.fixture
def current(functions: Service) -> list[str]:
    """The files that are always applied in their current form."""
    return list(functions.module("migrate_database").CURRENT)


def test_a_second_run_changes_nothing(empty: Database, folder: Path, migrate: Any) -> None:
    names = [str(file.relative_to(folder)) for file in folder.rglob("*.sql")]
    assert sorted(migrate(empty.connection, folder)) == sorted(names)
    before = empty.value(STATE)
    assert migrate(empty.connection, folder) == []
    assert empty.value(STATE) == before


def test_what_the_release_before_the_outbox_has_not_finished_is_adopted(empty: Database, folder: Path, migrate: Any) -> None:
    migrate(empty.connection, folder)
    # As it was before; what came later has rights on it, and cannot be migrated to without it.
    empty.sql("DROP TABLE outbox")
    empty.sql("DELETE FROM schema_migrations WHERE name = '0012_outbox.sql'")
    for number, ended in enumerate(("NULL, NULL, NULL", "NULL, NULL, now()", "now(), 'E', NULL"), 1):
        empty.sql(
            "INSERT INTO seed_runs (id, customers, orders_per_customer, items_per_order, failed_at, error, cancelled_at) "
            f"VALUES ('00000000-0000-0000-0000-00000000000{number}', 30, 0, 0, {ended})"
        )
    empty.sql(
        "INSERT INTO seed_chunks (run_id, number, first_customer, last_customer, row_count, finished_at) "
        "SELECT id, n, n, n, 1, CASE n WHEN 2 THEN now() END FROM seed_runs, generate_series(1, 3) AS n"
    )
    migrate(empty.connection, folder)
    run = "00000000-0000-0000-0000-000000000001"
    assert empty.sql("SELECT queue, body ->> 'run', body ->> 'chunk' FROM outbox ORDER BY id") == [
        ["seeding", run, "1"],
        ["seeding", run, "3"],
    ]


def test_an_edited_migration_is_refused_by_name(empty: Database, folder: Path, migrate: Any, functions: Service) -> None:
    migrate(empty.connection, folder)
    file = folder / "0001_customers_orders_items.sql"
    file.write_text(file.read_text() + "\n-- edited\n")
    with pytest.raises(functions.module("migrate_database").MigrationEdited, match="0001_customers_orders_items"):
        migrate(empty.connection, folder)


def test_a_new_migration_runs_and_a_changed_function_is_replaced(
    empty: Database, folder: Path, migrate: Any, current: list[str]
) -> None:
    migrate(empty.connection, folder)
    (folder / "0099_notes.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    documents = folder / "current" / "documents.sql"
    documents.write_text(documents.read_text().replace("ARRAY['deliver']", "ARRAY['deliver', 'lose']"))
    assert migrate(empty.connection, folder) == ["0099_notes.sql", *current]
    assert empty.value("SELECT allowed_actions('shipped')") == ["deliver", "lose"]


def test_the_order_of_the_current_files_names_each_of_them(folder: Path, current: list[str]) -> None:
    assert sorted(current) == sorted(str(file.relative_to(folder)) for file in folder.glob("*/*.sql"))


def test_a_failing_migration_leaves_everything_as_it_was(empty: Database, folder: Path, migrate: Any) -> None:
    migrate(empty.connection, folder)
    before = empty.value(STATE)
    (folder / "0098_good.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    (folder / "0099_bad.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    with pytest.raises(DatabaseError):
        migrate(empty.connection, folder)
    empty.sql("ROLLBACK")
    assert empty.value(STATE) == before


def test_an_older_release_runs_on_a_newer_schema(empty: Database, folder: Path, migrate: Any, current: list[str]) -> None:
    """A rollback invokes the previous release's migration again."""
    newer = Path(shutil.copytree(folder, folder.parent / "newer"))
    (newer / "0099_notes.sql").write_text("ALTER TABLE orders ADD COLUMN note text;")
    (newer / "current" / "audit.sql").write_text((newer / "current" / "audit.sql").read_text() + "\n-- newer\n")
    migrate(empty.connection, newer)
    assert migrate(empty.connection, folder) == current


def test_the_current_files_may_be_renamed_between_releases_in_either_direction(
    empty: Database, folder: Path, migrate: Any, current: list[str]
) -> None:
    """The first edition had one, functions.sql, and only runs it again if it is not recorded with the same checksum."""
    migrate(empty.connection, folder)
    empty.sql("INSERT INTO schema_migrations (name, checksum) VALUES ('functions.sql', 'as it was')")
    empty.sql("CREATE OR REPLACE FUNCTION allowed_actions(status text) RETURNS text[] IMMUTABLE RETURN ARRAY['former']")
    assert migrate(empty.connection, folder) == current
    assert empty.value("SELECT allowed_actions('shipped')") == ["deliver"]
    assert empty.sql("SELECT name FROM schema_migrations WHERE name = 'functions.sql'") == []
    assert migrate(empty.connection, folder) == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (a integer)",
        "TRUNCATE order_items",
        "DELETE FROM orders",
        "UPDATE orders SET customer_id = 1",
        "UPDATE customer_totals SET spent_cents = 0",
        "UPDATE events SET type = 'x'",
        "SELECT * FROM pg_authid",
        "SELECT * FROM seed_runs",
        "SELECT * FROM outbox",
        "SELECT recount_orders(ARRAY[1]::bigint[])",
        "DROP TABLE orders",
    ],
)
def test_the_api_role_may_only_do_what_endpoints_need(db: Database, statement: str) -> None:
    connection = db.connect("orders_app")
    with pytest.raises(DatabaseError, match="42501"):
        connection.run(statement)
    connection.close()


def test_only_the_owner_may_log_in_without_limits(db: Database) -> None:
    for role in ("orders_app", "orders_seeder", "orders_auditor", "orders_relay"):
        settings = db.value("SELECT array_to_string(rolconfig, ',') FROM pg_roles WHERE rolname = :role", role=role)
        assert "statement_timeout" in settings
        assert "idle_in_transaction_session_timeout" in settings
    assert db.sql("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'migrator'") == [[False, False]]


def through(door: IamDoor, functions: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A deployment's migration: the deployed handler, on its own connection, with an IAM token."""
    variables = {
        "DATABASE_HOST": "localhost", "DATABASE_PORT": str(door.port), "DATABASE_NAME": "orders", "DATABASE_USER": MASTER,
        "DATABASE_TLS": "off",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in ("DATABASE_PASSWORD", "DATABASE_ROLE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    applied: list[str] = functions.module("migrate_database").handler({}, None)["applied"]
    return applied


def test_the_master_user_of_rds_migrates_with_an_iam_token_every_time(
    functions: Service, current: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RdsServer(tmp_path / "rds") as rds:
        door = IamDoor(rds.socket, rds.server.port, members_of_rds_iam(rds.server))
        with door:
            assert set(current) <= set(through(door, functions, monkeypatch))
            assert through(door, functions, monkeypatch) == []
        assert rds.sql("SELECT pg_has_role('orders_app', 'rds_iam', 'MEMBER')") == [[True]]
        assert rds.sql("SELECT tableowner::text FROM pg_tables WHERE tablename = 'orders'") == [["migrator"]]
        with pytest.raises(DatabaseError, match="28000"):
            rds.master.connect()


def test_a_restored_database_is_migrated_where_the_master_user_has_made_a_table_of_its_own(
    functions: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose counter the owner of our tables may not set."""
    with RdsServer(tmp_path / "rds") as rds:
        with IamDoor(rds.socket, rds.server.port, members_of_rds_iam(rds.server)) as door:
            monkeypatch.setenv("DATABASE_INSTANCE", "db-FIRST")
            through(door, functions, monkeypatch)
            rds.sql(f"CREATE TABLE notes (id serial); INSERT INTO notes DEFAULT VALUES; ALTER TABLE notes OWNER TO {MASTER}")
            monkeypatch.setenv("DATABASE_INSTANCE", "db-SECOND")
            assert through(door, functions, monkeypatch) == []
        assert rds.sql("SELECT last_value FROM notes_id_seq") == [[1]]
        assert rds.sql("SELECT last_value > 1000000000 FROM orders_id_seq") == [[True]]


def test_a_stage_whose_master_user_had_a_password_is_migrated_with_an_iam_token(
    functions: Service, migrate: Any, folder: Path, current: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first edition's first deployment succeeded and locked all later ones out."""
    with RdsServer(tmp_path / "rds", master_by_iam=False) as rds:
        first = rds.master.connect()
        logging_in = functions.module("migrate_database").LOGIN_ROLES
        for role in ("migrator", *logging_in):
            first.run(f"CREATE ROLE {role}")
        # RDS lets its master user grant rds_iam without being a member; PostgreSQL does not.
        rds.sql(f"GRANT rds_iam TO {', '.join(logging_in)}")
        assert set(current) <= set(migrate(first, folder))
        first.close()
        with pytest.raises(DatabaseError, match="28000"):
            rds.master.connect()
        rds.sql("DELETE FROM schema_migrations WHERE name = 'roles.sql' OR name LIKE 'current/%'")
        with IamDoor(rds.socket, rds.server.port, members_of_rds_iam(rds.server)) as door:
            assert through(door, functions, monkeypatch) == ["roles.sql", *current]


def test_a_bad_token_is_refused(tmp_path: Path) -> None:
    """Shows that the stand-in for RDS's token check really checks."""
    good = iam_token("localhost", 6432, MASTER, "eu-central-1", datetime.now(UTC))
    assert token_is_good(good, MASTER, 6432)
    assert not token_is_good(good, "orders_app", 6432)
    assert not token_is_good(good, MASTER, 5432)
    assert not token_is_good(f"{good}0", MASTER, 6432)
    assert not token_is_good("password", MASTER, 6432)
    old = iam_token("localhost", 6432, MASTER, "eu-central-1", datetime.now(UTC) - timedelta(minutes=16))
    assert not token_is_good(old, MASTER, 6432)


def test_two_migrations_at_once_take_turns_and_no_other_role_can_hold_them_up(
    empty: Database, folder: Path, migrate: Any, functions: Service
) -> None:
    take_turns = functions.module("migrate_database").TAKE_TURNS
    migrate(empty.connection, folder)
    empty.sql("BEGIN")
    empty.sql(take_turns)
    waiting = empty.server.connect(timeout=30)
    waiting.run("SET lock_timeout = '100ms'")
    with pytest.raises(DatabaseError, match="55P03"):
        migrate(waiting, folder)
    empty.sql("COMMIT")
    waiting.run("ROLLBACK")
    for role in functions.module("migrate_database").LOGIN_ROLES:
        connection = replace(empty.server, user=role, password=ROLE_PASSWORD).connect()
        connection.run("BEGIN")
        with pytest.raises(DatabaseError, match="42501"):
            connection.run(take_turns)
        # Its transaction is still open, but holds no lock.
        assert migrate(waiting, folder) == []
        connection.close()
    waiting.close()
