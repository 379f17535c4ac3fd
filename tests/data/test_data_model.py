"""docs/data-model.md shows the database as the migrations make it."""

import re

from local.data_model import PAGE, page
from tests.harness import Database


def test_the_diagram_is_that_of_the_database(db: Database) -> None:
    """If this fails, `make schema` draws it anew."""
    text = PAGE.read_text()
    assert page(db.connection, text) == text
    assert "bigint customer_id FK" in text


def test_every_table_is_explained(db: Database) -> None:
    tables = {name for (name,) in db.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    section = PAGE.read_text().partition("## Tables")[2].partition("<!--")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == tables
