"""The cost of a cold and a warm request in instructions, which does not depend on the machine's speed or load.

`python -m pytest tests/budgets -s` prints the figures. Valgrind's cachegrind counts; hash seeds are fixed.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

from contract.functions import FUNCTIONS, ROOT, load_functions
from contract.openapi import PLACEHOLDERS
from tests.harness import ROLE_PASSWORD, Service

HTTP = [function.name for function in load_functions() if function.trigger == "http"]
# Multiples of a bare interpreter, and of the statement alone through the same connection.
MOST_FOR_IMPORT = 8
MOST_FOR_WARM_CALL = 1.3
# As measured on the deployed version of Python; a change of more than 3 % must be deliberate.
RECORDED = {"import get_order": 4.30, "warm get_order": 1.22}
TOLERANCE = 0.03
DEPLOYED = (3, 13)
# Modules that would slow down a cold start if a handler imported them, directly or indirectly.
HEAVY = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "dataclasses",
    "dateutil",
    "inspect",
    "pathlib",
    "pydantic",
    "scramp",
    "ssl",
}

# They build a page from files.
ALLOWED = {"get_docs": {"pathlib"}, "get_console": {"pathlib"}}

# Up to its end a process is what it was copied from, and starting one under Valgrind takes longer than all else.
IMPORT = """
import os
if not os.fork():
    os._exit(0)
os.wait()
import handler
os._exit(0)
"""
WARM = """
import os
import sys
import handler
from orders import database

class Context:
    def get_remaining_time_in_millis(self):
        return 9000

order = sys.argv[1]
event = {
    "version": "2.0",
    "routeKey": "GET /api/orders/{order_id}",
    "rawPath": f"/api/orders/{order}",
    "rawQueryString": "",
    "headers": {"host": "orders.example.com", "accept": "*/*", "user-agent": "curl/8", "x-forwarded-proto": "https"},
    "requestContext": {
        "domainName": "orders.example.com",
        "http": {"method": "GET", "path": f"/api/orders/{order}"},
        "requestId": "request-1",
        "stage": "$default",
    },
    "pathParameters": {"order_id": order},
    "isBase64Encoded": False,
}
context = Context()
assert handler.handler(event, context)["statusCode"] == 200
ways = [
    lambda: handler.handler(event, context),
    lambda: database._connection.run(handler.GET_ORDER, order_id=int(order)),
]
for way in ways:
    for _ in range(50):
        way()
# All use the connection, one after the other.
for way in (lambda: None, *ways):
    if not os.fork():
        for _ in range(100):
            way()
        os._exit(0)
    assert os.wait()[1] == 0
os._exit(0)
"""


def instructions(code: str, *arguments: str) -> list[int]:
    """The instructions of a Python that runs the code in the folder of get_order, after those of each of its copies."""
    folder = FUNCTIONS / "get_order"
    valgrind = shutil.which("valgrind")
    assert valgrind, "valgrind is not installed; `make test` installs it where it can"
    settings = {name: value for name, value in os.environ.items() if name.startswith("DATABASE_")}
    environment = {**settings, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{ROOT / 'layers' / 'orders' / 'python'}:{folder}"}
    command = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", sys.executable]
    subprocess.run([sys.executable, "-c", code, *arguments], env=environment, cwd=folder, check=True)
    done = subprocess.run([*command, "-c", code, *arguments], env=environment, cwd=folder, check=True, capture_output=True)
    return [int(counted.replace(b",", b"")) for counted in re.findall(rb"I +refs: +([\d,]+)", done.stderr)]


def assert_within(name: str, figure: float, most: float) -> None:
    print(f"\n{name}: {figure:.2f}")
    assert figure <= most
    if sys.version_info[:2] == DEPLOYED:
        assert figure == pytest.approx(RECORDED[name], rel=TOLERANCE)


@pytest.mark.parametrize("function", HTTP)
def test_a_handler_imports_nothing_heavy(function: str) -> None:
    environment = {**PLACEHOLDERS, **os.environ, "PYTHONPATH": str(ROOT / "layers" / "orders" / "python")}
    code = f"import handler, sys; print(*sorted({HEAVY} & set(sys.modules)))"
    folder = FUNCTIONS / function
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    assert set(done.stdout.split()) <= ALLOWED.get(function, set())


def test_importing_a_handler_takes_a_small_multiple_of_bare_python() -> None:
    bare, imported = instructions(IMPORT)
    print(f"\n{bare / 1e6:.1f} million for bare Python, {imported / 1e6:.1f} with the handler")
    figure = imported / bare
    assert_within("import get_order", figure, MOST_FOR_IMPORT)


def test_a_warm_request_takes_little_more_than_its_statement(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    order = str(service.order(service.customer()["id"])["id"])
    monkeypatch.setenv("DATABASE_USER", "orders_app")
    monkeypatch.setenv("DATABASE_PASSWORD", ROLE_PASSWORD)
    neither, handled, stated, _ = instructions(WARM, order)
    assert_within("warm get_order", (handled - neither) / (stated - neither), MOST_FOR_WARM_CALL)
