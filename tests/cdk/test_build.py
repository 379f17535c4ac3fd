"""What is built for upload: reproducible layers for arm64, and templates that cfn-lint accepts."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cdk.layers import PYTHON, Build, Target, build_orders, interpreter, packages_of
from contract.functions import ROOT, load_functions
from tests.cdk.conftest import Synthesized

AARCH64 = 183  # e_machine in an ELF header


def fingerprint(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


PACKAGES = ["dependencies", "mail"]


@pytest.mark.parametrize("builder", [build_orders, *map(packages_of, PACKAGES)])
def test_two_builds_of_a_layer_are_identical(tmp_path: Path, builder: Build) -> None:
    builds = [tmp_path / "first", tmp_path / "a-longer-name" / "second"]
    for folder in builds:
        folder.mkdir(parents=True)
        builder(folder, Target())
    first, second = map(fingerprint, builds)
    assert first == second
    assert first
    if interpreter(PYTHON):
        assert [name for name in first if name.endswith(".pyc")]


@pytest.mark.parametrize("packages", PACKAGES)
def test_packages_are_for_the_functions_processor(tmp_path: Path, packages: str) -> None:
    packages_of(packages)(tmp_path, Target())
    native = list(tmp_path.rglob("*.so"))
    assert native
    for library in native:
        assert int.from_bytes(library.read_bytes()[18:20], "little") == AARCH64, library.name
        # For the deployed Python's own ABI, or for the stable one.
        assert library.name.endswith((".cpython-313-aarch64-linux-gnu.so", ".abi3.so")), library.name


def test_the_dependencies_do_not_replace_lambdas_own_packages(tmp_path: Path) -> None:
    packages_of("dependencies")(tmp_path, Target())
    assert not list(tmp_path.rglob("boto*"))
    [dateutil] = tmp_path.rglob("python_dateutil-*.dist-info")
    assert dateutil.name < "python_dateutil-3"


NAMES = {name for function in load_functions() for name in (function.name, function.name.replace("_", "-"))}


def shortened(template: dict[str, Any]) -> dict[str, Any]:
    """Of resources that differ in nothing but the names of functions and of other resources, the one with the longest names.

    What refers to one of the others refers to that one instead. Of resources that are equal two are left: they may not be.
    """
    resources: dict[str, dict[str, Any]] = template["Resources"]
    known = {**dict.fromkeys(NAMES, "function"), **{name: resource["Type"] for name, resource in resources.items()}}
    words = re.compile(rf"\b({'|'.join(sorted(known, key=len, reverse=True))})\b")
    alike: dict[str, dict[str, list[str]]] = {}
    for name, resource in resources.items():
        text = json.dumps(resource)
        alike.setdefault(words.sub(lambda found: known[found[0]], text), {}).setdefault(text, []).append(name)
    instead: dict[str, str] = {}
    for texts in alike.values():
        longest = texts[max(texts, key=len)][0]
        for equal in texts.values():
            twice = equal[:2] if len(equal) > 1 else []
            instead |= {name: name if name in twice else longest for name in equal}
    kept = {name: resource for name, resource in resources.items() if instead[name] == name}
    for resource in kept.values():
        before = resource.get("DependsOn", [])
        # Among those of one kind the order is gone.
        resource["DependsOn"] = [name for name in ([before] if isinstance(before, str) else before) if name in kept]
    ids = re.compile(rf'"({"|".join(resources)})"')
    text = json.dumps({**template, "Resources": kept})
    short: dict[str, Any] = json.loads(ids.sub(lambda found: f'"{instead[found[1]]}"', text))
    return short


def test_cfn_lint_finds_no_error(named: Synthesized, dev_on_aurora: Synthesized, tmp_path: Path) -> None:
    """Of a choice of stage, engine and name, each is in one of the two: linting a resource takes longer than making two."""
    files = []
    for stage in (named, dev_on_aurora):
        for template in stage.folder.glob("*.template.json"):
            files.append(tmp_path / template.name)
            files[-1].write_text(json.dumps(shortened(json.loads(template.read_text())), indent=1))
    # W3005: CDK declares a dependency that CloudFormation would infer.
    report = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "-i", "W3005", "--", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert report.returncode == 0, report.stdout


def test_the_cli_finds_the_app_and_the_pinned_version() -> None:
    assert "-m cdk.app" in json.loads((ROOT / "cdk.json").read_text())["app"]
    assert re.search(r"aws-cdk@2\.\d+\.\d+", (ROOT / "Makefile").read_text())
