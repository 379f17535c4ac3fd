"""openapi.json as generators and agents take it: unmodified, without a warning, and what they make of it works.

Linters and generators are in environments of their own, which `make test` makes.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.functions import OPENAPI, ROOT
from drill.laptop import Laptop
from tests.cli.server import SmallServer

HERE = Path(__file__).parent
NODE = HERE / "node_modules" / ".bin"
PYTHON = ROOT / ".venv" / "clients" / "bin"
# Node.js, and ruff, which formats what openapi-python-client makes.
OURS = ROOT / ".venv" / "bin"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "FASTMCP_CHECK_FOR_UPDATES": "off"}

WITHOUT_BODY = """
const path = { customer_id: 1 };
console.log(must(await api.DELETE("/api/customers/{customer_id}/", { params: { path } })) === undefined);
console.log(await api.GET("/api/customers/{customer_id}/", { params: { path } }).then(must).catch(({ message }) => message));
"""

pytestmark = pytest.mark.skipif(
    not (NODE.exists() and PYTHON.exists()) and "CI" not in os.environ, reason="`make test` installs what these tests use"
)


def run(*command: str | Path, cwd: Path = HERE, **environment: str) -> str:
    """What it prints. Fails with all that it has said if its exit status is not 0."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.pathsep.join([str(OURS), os.environ["PATH"]])
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**inherited, **QUIET, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def token(guarded: Laptop) -> str:
    printed: list[str] = re.findall(r"eyJ[\w.-]+", guarded.output)
    return printed[0]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs in TypeScript, and the types made for them; all of it compiles."""
    folder = tmp_path_factory.mktemp("typed")
    run(NODE / "openapi-typescript", OPENAPI, "--output", folder / "api.d.ts")
    for name in ("journey.ts", "tsconfig.json", "package.json", "node_modules"):
        (folder / name).symlink_to(HERE / name)
    program = shown("integrate.md", "ts")
    (folder / "integrate.ts").write_text(program)
    beginning, _, _ = program.partition("const customer = must(")
    (folder / "without_body.ts").write_text(beginning + WITHOUT_BODY)
    run(NODE / "tsc", "--project", "tsconfig.json", "--preserveSymlinks", cwd=folder)
    return folder


def shown(page: str, language: str) -> str:
    """The code of a page."""
    fences = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert fences
    return "\n".join(fences)


def beginning_in_python() -> str:
    return shown("integrate.md", "python").partition("customer = call(")[0]


def run_typescript(file: str, *words: str, cwd: Path, **environment: str) -> str:
    return run(OURS / "node", "--preserve-symlinks", "--preserve-symlinks-main", file, *words, cwd=cwd, **environment)


def lint_with_spectral(document: Path) -> str:
    return run(NODE / "spectral", "lint", document, "--ruleset", "spectral.yaml", "--fail-severity", "hint")


def lint_with_redocly(document: Path) -> str:
    return run(NODE / "redocly", "lint", document, "--config", "redocly.yaml", "--format", "json")


def test_spectral_finds_nothing() -> None:
    assert "No results" in lint_with_spectral(OPENAPI)


def test_redocly_finds_nothing() -> None:
    assert json.loads(lint_with_redocly(OPENAPI))["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_the_linters_find_what_is_wrong(tmp_path: Path) -> None:
    contract = json.loads(OPENAPI.read_text())
    parameters = contract["paths"]["/api/orders/"]["get"]["parameters"]
    parameters[-1]["example"] = 5
    (tmp_path / "openapi.json").write_text(json.dumps(contract))
    for lint in (lint_with_spectral, lint_with_redocly):
        with pytest.raises(AssertionError, match="example"):
            lint(tmp_path / "openapi.json")


def test_a_generated_python_client_works(guarded: Laptop, token: str, tmp_path: Path) -> None:
    package = tmp_path / "orders_client"
    options = ("--output-path", package, "--meta", "none", "--fail-on-warning")
    run(PYTHON / "openapi-python-client", "generate", "--path", OPENAPI, *options)
    names = {path.stem for path in (package / "api").rglob("*.py")}
    assert {operation["operationId"] for item in contract()["paths"].values() for operation in item.values()} <= names
    answer = json.loads(run(PYTHON / "python", HERE / "journey.py", guarded.url, token, PYTHONPATH=str(tmp_path)))
    assert answer == journey_of(refused=[409])


def test_a_generated_typescript_client_works(guarded: Laptop, token: str, typed: Path) -> None:
    answer = json.loads(run_typescript("journey.ts", guarded.url, token, cwd=typed))
    assert answer == journey_of(refused=[409, 422])


def test_what_integrators_are_shown_works_in_typescript(guarded: Laptop, token: str, typed: Path) -> None:
    lines = run_typescript("integrate.ts", cwd=typed, ORDERS_URL=guarded.url, ORDERS_TOKEN=token).splitlines()
    assert lines == ['[true,["T-1"]]', "1 order.created", "2 order.paid"]


def test_what_integrators_are_shown_works_in_python(guarded: Laptop, token: str) -> None:
    program = shown("integrate.md", "python")
    lines = run(sys.executable, "-c", program, ORDERS_URL=guarded.url, ORDERS_TOKEN=token).splitlines()
    assert lines == ["[True, ['P-1']]", "1 order.created", "2 order.paid"]


def test_what_integrators_are_shown_asks_again_after_a_function_has_crashed() -> None:
    """API Gateway says 500 then, the service never."""
    with SmallServer() as server:
        server.answer("GET", "/api/events/", (500, {"message": "Internal Server Error"}), (200, {"results": []}))
        program = f"{beginning_in_python()}call('GET', '/api/events/')"
        run(sys.executable, "-c", program, ORDERS_URL=server.url, ORDERS_TOKEN="any")
    assert len(server.requests) == 2


def test_what_integrators_are_shown_takes_an_answer_without_a_body(typed: Path) -> None:
    with SmallServer() as server:
        server.answer("DELETE", "/api/customers/1/", (204, ""))
        server.answer("GET", "/api/customers/1/", (502, ""))
        program = f"{beginning_in_python()}print(call('DELETE', '/api/customers/1/'))"
        assert run(sys.executable, "-c", program, ORDERS_URL=server.url, ORDERS_TOKEN="any") == "None\n"
        shown_by_node = run_typescript("without_body.ts", cwd=typed, ORDERS_URL=server.url, ORDERS_TOKEN="any")
    assert shown_by_node == "true\n502 \n"


@pytest.mark.parametrize(
    ("retry_after", "pauses"),
    [
        ("3", [3]),
        ("Wed, 21 Oct 2065 07:28:10 GMT", [10]),
        ("Wed, 21 Oct 2065 07:28:00 GMT", [0]),
        ("Wed, 21 Oct 2064 07:28:00 GMT", [0]),
        ("soon", [0.5]),
        ("-1", [0.5]),
    ],
)
def test_what_integrators_are_shown_waits_as_long_as_it_is_told(retry_after: str, pauses: list[float]) -> None:
    """With a clock that stands still, and pauses that take no time."""
    with SmallServer() as server:
        server.answer("GET", "/api/events/", (503, {}, {"Retry-After": retry_after}), (200, {"results": []}))
        program = (
            "import datetime, time\n"
            "now = datetime.datetime(2065, 10, 21, 7, 28, tzinfo=datetime.UTC).timestamp()\n"
            "pauses = []\n"
            "time.sleep, time.time = pauses.append, lambda: now\n"
            f"{beginning_in_python()}call('GET', '/api/events/')\n"
            "print(pauses)\n"
        )
        shown_pauses = run(sys.executable, "-c", program, ORDERS_URL=server.url, ORDERS_TOKEN="any")
    assert json.loads(shown_pauses) == pauses


def test_what_integrators_are_shown_works_in_curl(guarded: Laptop, tmp_path: Path) -> None:
    """With a token that the page shows how to get."""
    program = shown("integrate.md", "sh")
    types, commands = re.findall(r"^npx .*$", program, re.MULTILINE), re.sub(r"^npx .*$", "", program, flags=re.MULTILINE)
    assert len(types) == 1
    client = {
        "CLIENT_ID": "shop",
        "CLIENT_SECRET": "any",
        "TOKEN_URL": f"{guarded.url}/oauth2/token",
        "ORDERS_URL": guarded.url,
    }
    # Answers end without a line break.
    orders, rest = map(json.loads, run("sh", "-e", "-c", commands, cwd=tmp_path, **client).replace("}{", "}\n{").splitlines())
    assert "C-1" in [order["reference"] for order in orders["results"]]
    assert (rest["results"], rest["next"]) == ([], None)
    order = json.loads((tmp_path / "order.json").read_text())
    assert [event["actor"] for event in json.loads((tmp_path / "events.json").read_text())["results"]][-1] == "shop"
    assert (order["reference"], order["total_cents"]) == ("C-1", 2500)


def test_an_agent_works_with_the_documented_recipe(guarded: Laptop, token: str, tmp_path: Path) -> None:
    recipe = shown("agents.md", "python")
    assert len([line for line in recipe.splitlines() if line and not line.startswith("import")]) == 3
    (tmp_path / "orders_mcp.py").write_text(recipe)
    answer = json.loads(run(PYTHON / "python", HERE / "agent.py", tmp_path / "orders_mcp.py", guarded.url, token))
    operations = [operation for item in contract()["paths"].values() for operation in item.values()]
    assert answer["tools"].keys() == {operation["operationId"] for operation in operations}
    for operation in operations:
        assert answer["tools"][operation["operationId"]].startswith(operation["description"])
    assert (answer["statuses"], answer["found"]) == (["pending", "paid"], [True])
    assert "The order is paid; allowed now: ship, cancel." in answer["refusal"]


def contract() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(OPENAPI.read_text())
    return document


def journey_of(refused: list[int]) -> dict[str, Any]:
    return {
        "statuses": ["pending", "paid"],
        "found": [True],
        "refused": refused,
        "title": "Conflict with the current state",
    }
