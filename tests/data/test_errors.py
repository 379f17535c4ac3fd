"""Every SQLSTATE in the table, provoked in a real PostgreSQL."""

import pytest

from orders.driver import DatabaseError
from orders.errors import CONSTRAINTS, SQLSTATES, from_database, sqlstate
from tests.harness import Database

CUSTOMER = "INSERT INTO customers (id, email, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a@b.de', 'A');"
ORDER = "INSERT INTO orders (id, customer_id) OVERRIDING SYSTEM VALUE VALUES (1, 1);"
# What cannot be had without filling a disk or killing the server is raised by name; its handling is the same.
RAISED = {"40001", "40P01", "53100", "53200", "53300", "55P03", "57P01", "57P02", "57P03"}
PROVOKED = {
    "22003": "SELECT 9223372036854775807 + 1",
    "22021": "SELECT convert_from('\\x00', 'UTF8')",
    "22P02": "SELECT 'x'::bigint",
    "22P05": "SELECT '\"\\u0000\"'::jsonb",
    "23001": CUSTOMER + ORDER + "DELETE FROM customers",
    "23503": "INSERT INTO orders (customer_id) VALUES (999)",
    "23505": CUSTOMER + "INSERT INTO customers (email, name) VALUES ('A@b.de', 'A')",
    "23514": CUSTOMER + "UPDATE customers SET name = ''",
    "25006": "BEGIN READ ONLY; DELETE FROM orders",
    "57014": "SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)",
    **{code: f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$" for code in RAISED},
}
# What servers before PostgreSQL 18 say instead.
FORMERLY = {"23001": "23503"}


@pytest.mark.parametrize("code", SQLSTATES)
def test_a_refusal_by_postgresql_becomes_its_problem(db: Database, code: str) -> None:
    with pytest.raises(DatabaseError) as refusal:
        db.sql(PROVOKED[code])
    if code == "25006":
        db.sql("ROLLBACK")
    assert sqlstate(refusal.value) in (code, FORMERLY.get(code))
    problem = from_database(refusal.value)
    assert problem is not None
    assert problem.status == SQLSTATES[code][0]
    assert problem.headers.keys() == ({"Retry-After"} if problem.status == 503 else set())


def test_what_is_not_in_the_table_is_our_defect(db: Database) -> None:
    with pytest.raises(DatabaseError) as refusal:
        db.sql("SELECT * FROM nowhere")
    assert from_database(refusal.value) is None


def test_every_constraint_with_a_text_of_its_own_exists(db: Database) -> None:
    names = {
        row[0]
        for row in db.sql("SELECT conname::text FROM pg_constraint UNION SELECT indexrelid::regclass::text FROM pg_index")
    }
    assert names >= CONSTRAINTS.keys()
