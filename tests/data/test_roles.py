"""What a database role may do outside of the handlers, and how it sees times."""

from collections.abc import Iterator

import pytest

from orders.driver import DatabaseError
from tests.harness import Database, Service

ROLES = ("orders_app", "orders_seeder", "orders_auditor", "orders_relay", "orders_exporter")
OPEN_FUNCTIONS = """
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl
WHERE acl.grantee = 0 AND (p.prosecdef OR d.objid IS NULL)
  AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""
# An attack that used to work: the trigger function runs with the owner's rights and takes these rows for orders.
FALSIFY = """
CREATE TEMP TABLE falsified (customer_id bigint, status text, item_count integer, total_cents bigint);
CREATE TRIGGER falsify AFTER INSERT ON falsified
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_customer_totals();
INSERT INTO falsified SELECT id, 'paid', 1, 1000000 FROM customers;
"""


def test_no_function_may_be_executed_by_everyone(db: Database) -> None:
    """An extension's functions are excluded unless they run with their owner's rights."""
    assert db.sql(OPEN_FUNCTIONS) == []


def test_no_future_function_may_be_executed_by_everyone(db: Database) -> None:
    db.sql("BEGIN; SET LOCAL ROLE migrator; CREATE FUNCTION future() RETURNS integer SECURITY DEFINER RETURN 1")
    try:
        assert db.sql(OPEN_FUNCTIONS) == []
    finally:
        db.sql("ROLLBACK")


@pytest.fixture
def temporary_tables(db: Database) -> Iterator[None]:
    """As if everybody were allowed to create temporary tables again."""
    name = db.value("SELECT current_database()")
    db.sql(f"GRANT TEMPORARY ON DATABASE {name} TO PUBLIC")
    yield
    db.sql(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_create_a_table_to_attack_from(service: Service, db: Database, role: str) -> None:
    connection = db.connect(role)
    for table in ("TEMP TABLE mine (a integer)", "TABLE public.mine (a integer)", "SCHEMA mine"):
        with pytest.raises(DatabaseError, match="42501"):
            connection.run(f"CREATE {table}")
    connection.close()


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_falsify_totals_through_the_triggers(
    service: Service, db: Database, temporary_tables: None, role: str
) -> None:
    service.order(service.customer()["id"], (1, 150))
    connection = db.connect(role)
    with pytest.raises(DatabaseError, match="permission denied for function keep_customer_totals"):
        connection.run(FALSIFY)
    connection.close()
    assert db.sql("SELECT order_count, spent_cents FROM customer_totals") == [[1, 150]]


@pytest.mark.parametrize("role", ROLES)
def test_no_statement_is_compiled(service: Service, db: Database, role: str) -> None:
    """A seed chunk seems dear enough to PostgreSQL, and would take more than twice the time."""
    connection = db.connect(role)
    assert connection.run("SHOW jit") == [["off"]]
    connection.close()


def test_the_runbook_can_find_slow_statements(db: Database) -> None:
    assert db.value("SELECT count(*) FROM pg_stat_statements") > 0


@pytest.fixture
def server_in_india(db: Database) -> Iterator[None]:
    name = db.value("SELECT current_database()")
    db.sql(f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    yield
    db.sql(f"ALTER DATABASE {name} RESET timezone")


def test_times_are_in_utc_on_a_server_with_another_timezone(db: Database, server_in_india: None) -> None:
    newcomers = Service()
    customer = newcomers.customer()
    order = newcomers.order(customer["id"])
    for time in (customer["created_at"], order["created_at"], order["updated_at"]):
        assert time.endswith("+00:00")
    newcomers.close()
