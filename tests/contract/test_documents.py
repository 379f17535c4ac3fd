"""What the project says to people and to their tools is so."""

import re

from functions.inventory import ROOT


def test_dependabot_looks_where_the_locks_are() -> None:
    text = (ROOT / ".github" / "dependabot.yml").read_text()
    looked_at = {ROOT / folder.strip("/") for folder in re.findall(r"^ +- (/\S+)$", text, re.MULTILINE)}
    locks = {(ROOT / file).parent for file in re.findall(r" -o (\S+\.txt)", (ROOT / "Makefile").read_text())}
    assert locks == looked_at
