"""The tutorials, followed word by word in a copy of the checkout: what both change, then what both say to run."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.functions import ROOT
from drill.laptop import Laptop
from tests.contract.test_documents import examples, shape

TUTORIALS = ("add-an-endpoint.md", "add-a-column.md")
# What is installed is linked; what a run leaves behind, and the history, is not needed.
NOT_COPIED = (".git", ".venv", ".local", "node_modules", "cdk.out", "__pycache__", ".pytest_cache", ".hypothesis")
# A step: the prose before a fence, the fence's language and its text.
STEP = re.compile(r"(.*?)^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = "localhost:8000"
# What no tutorial changes, nor depends on what one changes. `make lint` checks its types in the checkout itself; the CDK's take
# five times as long as all others.
UNAFFECTED = {'files = ["benchmarks", "cdk", ': "files = [", "exclude = [": 'exclude = ["^tests/(artefact|cdk)/", '}
# A moment after `make costs` has written what this would compare.
CHECKED_AGAIN = "\t$(BIN)/python -m cdk.costs --check\n"
TYPES_OF_THE_CDK = """
[[tool.mypy.overrides]]
module = ["aws_cdk.*", "cdk.*", "cdk_nag.*", "constructs.*", "jsii.*"]
follow_imports = "skip"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tutorial") / "checkout"
    shutil.copytree(ROOT, root, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (root / ".venv").symlink_to(ROOT / ".venv")
    settings = root / "pyproject.toml"
    text = settings.read_text()
    mypy = text.index("[tool.mypy]")
    for all_of_it, affected in UNAFFECTED.items():
        assert text.count(all_of_it, mypy) == 1, all_of_it
        text = text[:mypy] + text[mypy:].replace(all_of_it, affected)
    settings.write_text(text + TYPES_OF_THE_CDK)
    makefile = (root / "Makefile").read_text()
    assert makefile.count(CHECKED_AGAIN) == 1
    (root / "Makefile").write_text(makefile.replace(CHECKED_AGAIN, ""))
    return root


def steps(document: Path) -> Iterator[tuple[str, str, str]]:
    """Of each fence the file that it belongs to (the last that the prose names), its language and its text."""
    file = ""
    for before, language, text in STEP.findall(document.read_text()):
        named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`", before)
        file = named[-1] if named else file
        yield file, language, text


def patch(file: Path, diff: str) -> None:
    """A diff without line numbers: what it takes away or leaves has to be in the file exactly once."""
    before = "".join(f"{line[1:]}\n" for line in diff.splitlines() if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in diff.splitlines() if not line.startswith("-"))
    text = file.read_text()
    assert text.count(before) == 1, f"{file} contains this {text.count(before)} times:\n{before}"
    file.write_text(text.replace(before, after))


def run(commands: list[str], root: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON", "MAKE"))}
    for command in commands:
        done = subprocess.run(
            shlex.split(command), cwd=root, env={**inherited, "PWD": str(root)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(900)
def test_following_the_tutorials_leads_where_they_say(checkout: Path, tmp_path: Path) -> None:
    made = set()
    commands = []
    for name in TUTORIALS:
        for file, language, text in steps(ROOT / "docs" / name):
            if language == "diff":
                patch(checkout / file, text)
            elif language in ("python", "sql"):
                assert not (checkout / file).exists(), file
                (checkout / file).parent.mkdir(exist_ok=True)
                (checkout / file).write_text(text)
                made.add(file)
            elif language == "sh" and SHOWN not in text:
                commands += text.splitlines()
    # Each once: what both say takes longest.
    run(list(dict.fromkeys(commands)), checkout)
    assert "functions/get_customer_summary/handler.py" in made
    with Laptop(tmp_path / "data", checkout) as laptop:
        for name in TUTORIALS:
            for command, answer in examples(ROOT / "docs" / name):
                words = shlex.split(command.replace(SHOWN, laptop.url.removeprefix("http://")))
                said = subprocess.run([*words, "--silent", "--fail-with-body"], capture_output=True, text=True, check=True)
                if answer:
                    assert shape(json.loads(said.stdout)) == shape(json.loads(answer)), command
