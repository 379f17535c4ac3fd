"""Generated files are up to date, and the code follows the project's rules."""

import ast
import json
import re
from pathlib import Path

import pytest

from contract.functions import FUNCTIONS, OPENAPI, ROOT, load_functions
from contract.openapi import API_PAGE, TABLE, build, declared, endpoint_table
from orders.errors import MAX_ERRORS, MAX_FIELD_LENGTH
from orders.limits import MAX_ITEMS
from orders.paging import MAX_PAGE_BYTES
from orders.requests import MAX_BODY_BYTES, MAX_CALLER_LENGTH

HANDLERS = sorted(FUNCTIONS.glob("*/handler.py"))
LAYER = ROOT / "layers" / "orders" / "python" / "orders"
ROOMS = {
    "orders": sorted(LAYER.glob("*.py")),
    **{room: sorted((ROOT / room).glob("*.py")) for room in ("contract", "local", "cdk", "drill")},
    "orders_cli": sorted((ROOT / "cli" / "orders_cli").rglob("*.py")),
}
# Imports lead from a higher layer to a lower one, or stay within a package.
# A client has nothing below it: it shares the contract with the service, and no code.
FLOORS = {"orders_cli": 1, "orders": 1, "contract": 2, "local": 3, "cdk": 3, "drill": 4, "tests": 5}
LONGEST_FUNCTION = 50
MOST_LINES = 125
MOST_SHARED_LINES = 220


def test_openapi_json_matches_the_handlers() -> None:
    assert json.loads(OPENAPI.read_text()) == build()


def test_the_table_of_endpoints_matches_openapi_json() -> None:
    text = API_PAGE.read_text()
    assert len(TABLE.findall(text)) == 1
    assert text == TABLE.sub(lambda found: found[1] + endpoint_table(build()) + found[2], text)


def test_every_operation_is_named_after_its_folder() -> None:
    operations = [operation for item in declared()["paths"].values() for operation in item.values()]
    names = {operation["x-function"] for operation in operations}
    assert names == {function.name for function in load_functions() if function.routes}


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(document.read_text() for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    named = set(re.findall(r"(?:^|`|… )make ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= targets


def test_the_limits_in_the_documents_are_those_of_the_code() -> None:
    text = " ".join((ROOT / "docs" / "api.md").read_text().split())
    for promise in (
        f"at most {MAX_BODY_BYTES // 1024} KB",
        f"at most {MAX_ITEMS} items",
        f"exceed about {MAX_PAGE_BYTES // 1_000_000} MB",
        f"At most {MAX_ERRORS} errors",
        f"longer than {MAX_FIELD_LENGTH} characters is cut",
        f"A subject longer than {MAX_CALLER_LENGTH} characters",
    ):
        assert promise in text


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.parent.name)
def test_a_handler_is_short_and_uses_no_other_folder(handler: Path) -> None:
    source = handler.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    assert not re.search(r"^(from|import) (contract|functions|local|cdk|tests)\b", source, re.MULTILINE)


def test_functions_are_short_and_abstractions_have_more_than_one_implementation() -> None:
    for file in [*HANDLERS, *(file for files in ROOMS.values() for file in files)]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= LONGEST_FUNCTION, f"{file.name}: {node.name} has {length} lines"
        assert not re.search(r"\b(ABC|Protocol|metaclass)\b", file.read_text()), file


def test_a_shared_module_is_short() -> None:
    for file in (*ROOMS["orders"], *ROOMS["contract"], *ROOMS["orders_cli"]):
        assert len(file.read_text().splitlines()) <= MOST_SHARED_LINES, file


def imported(file: Path) -> set[str]:
    """The modules of this project that a file imports, at import or later."""
    tree = ast.parse(file.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.partition(".")[0] in FLOORS}


def test_imports_only_point_downward() -> None:
    for room, files in ROOMS.items():
        for file in files:
            for name in imported(file):
                other = name.partition(".")[0]
                assert other == room or FLOORS[other] < FLOORS[room], f"{file} imports {name}"


def test_imports_form_no_cycle() -> None:
    modules = {f"{room}.{file.stem}": imported(file) for room, files in ROOMS.items() for file in files}
    finished: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way, module))
        if module not in finished:
            for name in modules[module] & modules.keys():
                visit(name, (*way, module))
            finished.add(module)

    for module in modules:
        visit(module, ())


STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE)\s")
WRITING = re.compile(r"\b(INSERT INTO|UPDATE \w+|DELETE FROM|MERGE INTO)\b")
MOST_CONSTANT_LINES = 3


def needs_a_file(sql: str) -> bool:
    return bool(WRITING.search(sql)) or len(sql.strip().splitlines()) > MOST_CONSTANT_LINES


def test_sql_that_writes_or_has_more_than_three_lines_is_a_file_and_other_sql_a_constant() -> None:
    for file in [*HANDLERS, *LAYER.glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
                assert not needs_a_file(node.value), f"{file}: {node.value}"
    for file in [*FUNCTIONS.glob("*/*.sql"), *LAYER.glob("*.sql")]:
        assert needs_a_file(file.read_text()), file


PINNING = re.compile(
    r"\b(SET (SESSION|LOCAL)|set_config|nextval|setval|PREPARE|DEALLOCATE|LISTEN|TEMP(ORARY)? TABLE|pg_advisory_lock)\b"
)


def test_no_statement_at_run_time_pins_a_session_of_the_proxy() -> None:
    """After these, RDS Proxy reserves a connection for the session. The migration does not use the proxy."""
    sources = [*FUNCTIONS.glob("*/*.sql"), *HANDLERS, *LAYER.glob("*.sql"), *LAYER.glob("*.py")]
    for file in sources:
        if "migrate_database" not in file.parts:
            assert not PINNING.search(file.read_text()), file


def test_no_statement_is_too_long_for_the_proxy_to_share_its_connection() -> None:
    for file in [*FUNCTIONS.glob("*/*.sql"), *LAYER.glob("*.sql")]:
        assert len(file.read_bytes()) < 16 * 1024, file
