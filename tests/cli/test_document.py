"""docs/cli.md says what the program does."""

import re
import shlex

from contract.edge import CLI_CALLBACK
from contract.functions import ROOT
from drill.laptop import Laptop
from orders_cli.app import ENVIRONMENT
from orders_cli.commands.signin import REDIRECT_PORT
from orders_cli.errors import EXIT_CODES
from tests.cli.conftest import Shell

TEXT = (ROOT / "docs" / "cli.md").read_text()


def rows(heading: str) -> dict[str, str]:
    [table] = re.findall(rf"^\| {heading} \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return {name.strip("` "): text.strip() for name, text in (line.strip("|").split("|") for line in table.splitlines())}


def test_exit_codes_and_variables_are_those_of_the_program(shell: Shell) -> None:
    assert rows("exit code") == {str(code): text for code, text in EXIT_CODES.items()}
    assert rows("variable") == ENVIRONMENT
    assert f"http://localhost:{REDIRECT_PORT}/callback" == CLI_CALLBACK
    assert CLI_CALLBACK in TEXT
    shown = " ".join(shell.ok("--help").out.split())
    for text in (*EXIT_CODES.values(), *ENVIRONMENT.values()):
        assert text in shown


def test_the_commands_work_one_after_the_other(orders: Shell, laptop: Laptop) -> None:
    """With the ids that the shared laptop gives."""
    [block] = re.findall(r"^```sh\n(orders customers create.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    ids = {"customer": "", "order": ""}
    for line in block.splitlines():
        words = shlex.split(line)[1:]
        words = [ids["customer"] if before == "--customer" else word for before, word in zip(["", *words], words, strict=False)]
        if words[0] in ("set", "pay", "show", "mails"):
            words[1] = ids["order"]
        out = orders.ok(*words).out
        for kind in ids:
            if "create" in words and (found := re.match(rf"{kind.capitalize()} (\d+):", out)):
                ids[kind] = found[1]


def test_every_command_that_the_page_shows_exists(shell: Shell) -> None:
    known = set(re.findall(r"^  ([a-z]+)  ", shell.ok("--help").out, re.MULTILINE))
    shown = {
        word for word in re.findall(r"\borders ([a-z]+)\b", TEXT) if f"`orders {word}" in TEXT or f"\norders {word}" in TEXT
    }
    assert {"list", "login", "create"} <= shown <= known
