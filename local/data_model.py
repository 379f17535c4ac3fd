"""`make schema`: generates the diagram in docs/data-model.md from a database.

A test compares the page with the database of the tests, so that a migration cannot forget it.
"""

import os
import re
import tempfile
from pathlib import Path

from contract.functions import ROOT
from contract.openapi import load_handler
from local.postgres import EmbeddedPostgres
from orders.connection import Connection

PAGE = ROOT / "docs" / "data-model.md"
PART = re.compile(r"(<!-- diagram: made by `make schema` -->\n).*?(<!-- /diagram -->)", re.DOTALL)
# In the order of the table; keys: letters of pg_constraint and u for an index that makes values of this column alone unique.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull, coalesce((
        SELECT string_agg(DISTINCT k.contype::text, '') FROM pg_constraint AS k
        WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND k.contype IN ('p', 'f')
    ), '') || CASE WHEN EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1 AND NOT i.indisprimary
          AND pg_get_indexdef(i.indexrelid, 1, true) IN (a.attname, 'lower(' || a.attname || ')')
    ) THEN 'u' ELSE '' END
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    ORDER BY c.relname, a.attnum
"""
FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, confrelid::regclass::text, string_agg(a.attname, ', ')
    FROM pg_constraint AS k
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
    WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
    GROUP BY k.oid, conrelid, confrelid
    ORDER BY 1, 2, 3
"""
KEYS = {"p": "PK", "f": "FK", "u": "UK"}
SHORT = {"timestamp with time zone": "timestamptz"}


def _diagram(database: Connection) -> str:
    tables: dict[str, list[str]] = {}
    loose, single = [], set()
    keys = database.run(FOREIGN_KEYS)
    rows = database.run(COLUMNS)
    names = {table for table, *_ in rows}
    for table, column, kind, required, letters in rows:
        marks = f" {', '.join(KEYS[letter] for letter in sorted(letters, key='pfu'.index))}" if letters else ""
        optional = "" if required else ' "or null"'
        tables.setdefault(table, []).append(f"    {SHORT.get(kind, kind)} {column}{marks}{optional}")
        if letters == "fp":
            single.add((table, column))
        other = f"{column.removesuffix('_id')}s"
        if column.endswith("_id") and other in names and "f" not in letters:
            loose.append((table, other, column))
    lines = ["erDiagram"]
    for table, columns in tables.items():
        lines += [f"  {table} {{", *columns, "  }"]
    for table, other, column in keys:
        # A key that is also the primary key has one row at most.
        alone = (table, column) in single and sum(" PK" in line for line in tables[table]) == 1
        lines.append(f'  {other} ||--{"o|" if alone else "o{"} {table} : "{column}"')
    lines += [f'  {other} |o..o{{ {table} : "{column}"' for table, other, column in loose]
    return "\n".join(lines)


def page(database: Connection, text: str) -> str:
    """The page's text with the diagram of this database."""
    return PART.sub(lambda match: f"{match[1]}```mermaid\n{_diagram(database)}\n```\n{match[2]}", text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder), fsync="off")
        server = postgres.start()
        try:
            os.environ.update(server.environment)
            load_handler("migrate_database").handler({}, None)
            text = page(server.connect(), PAGE.read_text(encoding="utf-8"))
        finally:
            postgres.stop()
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
