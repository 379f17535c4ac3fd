"""`make doctor` and the commands themselves name what is wrong and what to do. Every fault here is provoked for real."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from contract.functions import ROOT
from local import doctor
from local.postgres import EmbeddedPostgres
from tests.tools import has_namespaces

# No server listens on it.
CLOSED = "127.0.0.1:1"
needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="Linux user namespaces are not available")


def examine(*, root: Path = ROOT, within: str = "true", **environment: str | None) -> tuple[int, str]:
    """Exit status and output. within: shell commands that make the fault, as root of a namespace. None unsets a variable.

    The laptop's folder is on a file system with room, however full this machine's disk is.
    """
    changed = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true", "PORT": "0"}
    command = [sys.executable, "-m", "local.doctor"]
    with tempfile.TemporaryDirectory() as roomy:
        if has_namespaces():
            unshare, shell, mount = (shutil.which(name) or name for name in ("unshare", "sh", "mount"))
            faults = f'{mount} -t tmpfs -o size=4g tmpfs {roomy} && {within} && exec "$@"'
            command = [unshare, "--map-root-user", "--mount", shell, "-c", faults, "sh", *command]
        variables = {
            **os.environ,
            "PYTHONPATH": f"{root}:layers/orders/python",
            "LOCAL_FOLDER": roomy,
            **changed,
            **environment,
        }
        run = subprocess.run(
            command,
            cwd=root,
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode, run.stdout


def findings(check: Callable[[], Iterator[doctor.Finding]], monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """What one check finds, in this process: all of them together take a second."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return [" ".join(finding) for finding in check()]


def problems(output: str) -> list[str]:
    """Each with its remedy."""
    lines = output.splitlines()
    return [f"{line} {remedy}" for line, remedy in pairwise(lines) if line.startswith("problem ")]


@pytest.fixture
def uninstalled(tmp_path: Path) -> Path:
    """A checkout in which no make has run yet."""
    (tmp_path / "local").mkdir()
    shutil.copy(ROOT / "local" / "doctor.py", tmp_path / "local")
    return tmp_path


@pytest.fixture
def old_python(tmp_path: Path) -> str:
    """A PATH whose only Python says that it is 3.9."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text('#!/bin/sh\necho "3 9"\n')
    python.chmod(0o755)
    return str(python.parent)


def test_a_machine_that_has_everything_has_no_problem_and_without_aws_it_says_so(tmp_path: Path) -> None:
    status, output = examine(HOME=str(tmp_path))
    assert (status, problems(output)) == (0, [])
    assert output.endswith("\n0 problems\n")
    assert "note     There are no AWS credentials" in output
    assert "aws sso login" in output


def test_an_old_python_is_named(old_python: str, tmp_path: Path) -> None:
    status, output = examine(PATH=old_python, HOME=str(tmp_path))
    [found] = [problem for problem in problems(output) if "Python" in problem]
    assert status == 1
    assert "python3 is 3.9" in found
    assert "apt install python3.13" in found


def test_make_names_an_old_python_too(old_python: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("run", "uv"):
        (tmp_path / "requirements" / f"{name}.txt").touch()
    make = [shutil.which("make") or "make", "run"]
    # The fake one also has to fail the Makefile's question.
    Path(old_python, "python3").write_text("#!/bin/sh\nexit 1\n")
    environment = {**os.environ, "PATH": f"{old_python}:/bin-of-nothing", "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    run = subprocess.run(make, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "Python 3.11 or newer is needed" in run.stdout
    assert "make doctor" in run.stdout


def test_a_busy_port_is_named_with_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        [found] = findings(doctor.port, monkeypatch, PORT=port)
    assert found.startswith("problem ")
    assert f"Port {port} cannot be used" in found
    assert "PORT=" in found


def test_a_port_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    status, output = examine(PORT="http")
    assert (status, len(problems(output))) == (1, 1)
    assert "PORT must be a number up to 65535, not 'http'" in output
    for port in ("", "65536"):
        [found] = findings(doctor.port, monkeypatch, PORT=port)
        assert f"PORT must be a number up to 65535, not '{port}'" in found


@needs_namespaces
def test_a_disk_that_is_almost_full_is_named(tmp_path: Path) -> None:
    status, output = examine(within=f"mount -t tmpfs -o size=8m tmpfs {tmp_path}", LOCAL_FOLDER=str(tmp_path / "data"))
    [found] = problems(output)
    assert status == 1
    assert f"{tmp_path} has 0.0 GB left" in found
    assert "make reset" in found


@needs_namespaces
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    _, output = examine(within=f"mount -t tmpfs -o size=8m,ro tmpfs {tmp_path}", LOCAL_FOLDER=str(tmp_path))
    [found] = [problem for problem in problems(output) if "written" in problem]
    assert "Read-only file system" in found
    assert "LOCAL_FOLDER=" in found


@needs_namespaces
def test_missing_user_namespaces_are_named_with_the_setting_that_allows_them() -> None:
    """Only the tests need them, so this alone is no reason to fail."""
    status, output = examine(within="echo 0 > /proc/sys/user/max_user_namespaces")
    assert status == 0
    assert "note     User namespaces are not available" in output
    assert "sysctl -w user.max_user_namespaces" in output


def test_a_package_index_that_cannot_be_reached_is_named(uninstalled: Path) -> None:
    nowhere = {"PIP_INDEX_URL": f"http://{CLOSED}/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    status, output = examine(root=uninstalled, PIP_EXTRA_INDEX_URL=None, PIP_FIND_LINKS=None, **nowhere)
    [found] = problems(output)
    assert status == 1
    assert "package index cannot be reached" in found
    assert "HTTPS_PROXY" in found


def test_before_anything_is_installed_a_server_that_does_not_answer_is_named(uninstalled: Path) -> None:
    _, output = examine(root=uninstalled, DATABASE_URL=f"postgresql://u:p@{CLOSED}/x")
    [found] = [problem for problem in problems(output) if "DATABASE_URL" in problem]
    assert "Start it" in found
    assert "AWS was not examined" in output


@pytest.mark.parametrize(
    ("url", "what", "remedy"),
    [
        ("mysql://u:p@localhost/x", "must look like postgresql://", "percent-encoded"),
        ("postgresql://u:p@localhost:http/x", "must look like postgresql://", "percent-encoded"),
        (f"postgresql://u:p@{CLOSED}/x", f"Nothing answers at postgresql://u@{CLOSED}/x", "Start the server"),
    ],
)
def test_a_wrong_database_url_is_named(monkeypatch: pytest.MonkeyPatch, url: str, what: str, remedy: str) -> None:
    [found] = findings(doctor.database, monkeypatch, DATABASE_URL=url)
    assert found.startswith("problem ")
    assert what in found
    assert remedy in found


def test_what_a_server_refuses_is_named(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    server = postgres.server
    address = f"{server.host}:{server.port}"
    password = quote(server.password)
    connection = server.connect("postgres")
    connection.run("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        for url, what, remedy in (
            (
                f"postgresql://postgres:wrong@{address}/orders",
                "refused: password authentication failed",
                "password in DATABASE_URL",
            ),
            (f"postgresql://postgres:{password}@{address}/nowhere", 'refused: database "nowhere"', "Create the database"),
            (f"postgresql://guest:guest@{address}/orders", "guest may not make roles", "CREATEROLE"),
        ):
            [found] = findings(doctor.database, monkeypatch, DATABASE_URL=url)
            assert found.startswith("problem ")
            assert what in found, found
            assert remedy in found
            assert password not in found
        [found] = findings(doctor.database, monkeypatch, DATABASE_URL=f"postgresql://postgres:{password}@{address}/orders")
        assert found == f"ok postgresql://postgres@{address}/orders lets its owner in. "
    finally:
        connection.run("DROP ROLE guest")
        connection.close()


def test_make_run_and_make_migrate_say_the_same_about_a_server_that_refuses(tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": f"postgresql://u:p@{CLOSED}/x", "PORT": "0", "LOCAL_FOLDER": str(tmp_path)}
    for module in ("local", "local.migrate"):
        command = [sys.executable, "-m", module]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        output = run.stdout + run.stderr
        assert run.returncode != 0
        assert f"Nothing answers at postgresql://u@{CLOSED}/x" in output, output
        assert "Start the server" in output
        assert "Traceback" not in output


def test_a_missing_region_is_named(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    status, output = examine(root=ROOT, HOME=str(tmp_path), AWS_REGION=None, AWS_DEFAULT_REGION=None, **keys)
    [found] = problems(output)
    assert status == 1
    assert "No AWS region" in found
    assert "AWS_REGION=" in found


def test_an_aws_that_cannot_be_reached_is_named() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    status, output = examine(root=ROOT, AWS_ENDPOINT_URL=f"http://{CLOSED}", AWS_MAX_ATTEMPTS="1", **keys)
    [found] = problems(output)
    assert status == 1
    assert "AWS cannot be asked" in found
    assert "HTTPS_PROXY" in found
