"""The documents and the drill know the same faults and mutations."""

import re

import pytest

from contract.functions import ROOT
from drill import play  # noqa: F401 - loads whatever has faults
from drill.mutations import MUTATIONS
from drill.mutations.kit import Mutation
from drill.play import Plan

FAULTS = Plan(seed=0, seconds=0).faults
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()


@pytest.mark.parametrize("document", ["operations.md", "reliability.md"])
def test_every_drill_that_a_document_names_exists(document: str) -> None:
    named = re.findall(r"make drill FAULTS=([\w,]+)", (ROOT / "docs" / document).read_text())
    assert named
    assert {fault for faults in named for fault in faults.split(",")} <= set(FAULTS)


def test_every_fault_is_in_the_note() -> None:
    assert [name for name in FAULTS if f"`{name}`" not in RELIABILITY] == []


def test_what_a_mutation_breaks_is_a_promise_that_is_checked() -> None:
    checks = "".join(file.read_text() for file in (ROOT / "drill").glob("*.py"))
    broken = {promise for mutation in MUTATIONS.values() for promise in mutation.breaks}
    assert [promise for promise in broken if f'"{promise}' not in checks] == []


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_mutation_finds_what_it_takes_away(mutation: Mutation) -> None:
    """Otherwise it would be convicted, or not, of nothing."""
    for file, old, new in mutation.edits:
        assert old in (ROOT / file).read_text()
        assert old != new
