"""What `cdk deploy` would upload really runs: every function, from the assembly alone, under Lambda's own runtime client."""

import re
from pathlib import Path

import pytest

from cdk.app import build
from cdk.smoke import Client, Surprise, walk
from functions.inventory import load_functions
from tests.artefact.serve import MUTATIONS
from tests.laptop import Laptop
from tests.servers import wait_until
from tests.tools import has_namespaces, missing

needs_namespaces = pytest.mark.skipif(
    not has_namespaces() or "pgbouncer" in missing(), reason="Linux user namespaces or PgBouncer are not to be had here"
)


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assembly")
    build({"stage": "dev", "aws:cdk:bundling-stacks": []}, str(folder)).synth()
    return folder


def serve(folder: Path, assembly: Path, mutation: str) -> Laptop:
    return Laptop(folder, module=("tests.artefact.serve", str(assembly), mutation))


@needs_namespaces
def test_every_function_runs_from_what_would_be_uploaded(assembly: Path, tmp_path: Path) -> None:
    with serve(tmp_path, assembly, "nothing") as laptop:
        walk(Client(laptop.url, None), seeding=True)
        everything = {function.name for function in load_functions()}
        wait_until(lambda: set(re.findall(r"(\w+) │", laptop.output)) >= everything, "An invocation of every function")
        assert "Traceback" not in laptop.output


@needs_namespaces
@pytest.mark.parametrize("mutation", [name for name in MUTATIONS if name != "nothing"])
def test_a_broken_artefact_is_noticed(assembly: Path, tmp_path: Path, mutation: str) -> None:
    with serve(tmp_path, assembly, mutation) as laptop, pytest.raises(Surprise, match=r"answered (404|50[03])"):
        walk(Client(laptop.url, None), seeding=True)
