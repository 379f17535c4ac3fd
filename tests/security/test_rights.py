"""What each role may do with each table, column, sequence and function: a list that a reviewer reads when it changes.

RIGHTS=write in the environment writes the list anew.
"""

import os
from pathlib import Path

import pytest

from contract.functions import load_functions
from tests.harness import Database

LIST = Path(__file__).parent / "rights.txt"
# PUBLIC's rights are those of a role that nobody gave anything to.
STRANGER = "CREATE ROLE stranger"
RIGHTS = """
WITH role AS (
    SELECT oid, rolname FROM pg_roles WHERE rolname LIKE 'orders\\_%' OR rolname = 'stranger'
), relation AS (
    -- Not the views of extensions, which show to each role what is its own.
    SELECT c.oid, relname FROM pg_class AS c
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND d.objid IS NULL
), of_column AS (
    SELECT role.rolname, relname, wanted.privilege,
        has_table_privilege(role.oid, relation.oid, wanted.privilege) AS whole,
        array_agg(a.attname::text ORDER BY a.attnum)
            FILTER (WHERE has_column_privilege(role.oid, relation.oid, a.attnum, wanted.privilege)) AS columns
    FROM role, relation, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS wanted (privilege), pg_attribute AS a
    WHERE a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY 1, 2, 3, 4
), found AS (
    SELECT rolname, 'table ' || relname AS what,
        privilege || CASE WHEN whole THEN '' ELSE ' (' || array_to_string(columns, ', ') || ')' END AS privilege
    FROM of_column
    WHERE whole OR columns IS NOT NULL
    UNION ALL
    SELECT rolname, 'table ' || relname, wanted.privilege
    FROM role, relation, unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) AS wanted (privilege)
    WHERE has_table_privilege(role.oid, relation.oid, wanted.privilege)
    UNION ALL
    SELECT rolname, 'sequence ' || s.relname, wanted.privilege
    FROM role, pg_class AS s, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS wanted (privilege)
    WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace
      AND has_sequence_privilege(role.oid, s.oid, wanted.privilege)
    UNION ALL
    SELECT rolname, 'function ' || p.oid::regprocedure, CASE WHEN p.prosecdef THEN 'EXECUTE as its owner' ELSE 'EXECUTE' END
    FROM role, pg_proc AS p
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    WHERE p.pronamespace = 'public'::regnamespace AND d.objid IS NULL AND has_function_privilege(role.oid, p.oid, 'EXECUTE')
    UNION ALL
    SELECT rolname, 'schema ' || n.nspname, wanted.privilege
    FROM role, pg_namespace AS n, unnest(ARRAY['USAGE', 'CREATE']) AS wanted (privilege)
    WHERE n.nspname !~ '^(pg_|information_schema)' AND has_schema_privilege(role.oid, n.oid, wanted.privilege)
    UNION ALL
    SELECT rolname, 'database', wanted.privilege
    FROM role, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS wanted (privilege)
    WHERE has_database_privilege(role.oid, current_database(), wanted.privilege)
)
SELECT rolname || ': ' || what || ': ' || string_agg(privilege, ', ' ORDER BY privilege)
FROM found GROUP BY rolname, what ORDER BY rolname, what
"""
STRONG = """
SELECT rolname FROM pg_roles
WHERE rolname LIKE 'orders\\_%'
  AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
       OR EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = pg_roles.oid))
"""


@pytest.fixture
def rights(db: Database) -> list[str]:
    db.sql("BEGIN")
    db.sql(STRANGER)
    lines = [row[0] for row in db.sql(RIGHTS)]
    db.sql("ROLLBACK")
    if os.environ.get("RIGHTS") == "write":
        LIST.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return lines


def test_each_role_has_the_rights_of_the_list_and_no_other(rights: list[str]) -> None:
    assert rights == LIST.read_text(encoding="utf-8").splitlines()


def test_whoever_was_given_nothing_has_nothing(rights: list[str]) -> None:
    assert [line for line in rights if line.startswith("stranger")] == [
        "stranger: database: CONNECT",
        "stranger: schema public: USAGE",
    ]


def test_no_role_can_give_itself_rights(db: Database) -> None:
    assert db.sql(STRONG) == []


def test_nobody_but_the_owner_changes_what_has_happened_or_the_totals(rights: list[str]) -> None:
    for line in rights:
        _, what, privileges = line.split(": ")
        verbs = {privilege.split(" ")[0] for privilege in privileges.split(", ")}
        assert not verbs & {"TRUNCATE", "REFERENCES", "TRIGGER"}, line
        if what == "table events":
            assert verbs <= {"SELECT", "INSERT"}, line
        if what in ("table customer_totals", "table customer_total_deltas"):
            assert verbs == {"SELECT"}, line


def test_every_role_of_a_function_is_in_the_list(rights: list[str]) -> None:
    users = {function.database_user for function in load_functions()} - {"owner", "", None}
    assert users == {line.split(":")[0] for line in rights} - {"stranger"}
