"""pg8000 is imported without the modules that no function uses, and their stand-ins are invisible to other code."""

import os
import subprocess
import sys

from contract.functions import ROOT

UNUSED = ("pg8000.legacy", "scramp", "dateutil", "importlib.metadata", "email.message")
LISTED = f"import orders.connection, sys; print(*[name for name in {UNUSED} if name in sys.modules])"
REAL = """
import orders.connection
import dateutil.parser, importlib.metadata, pg8000.legacy, scramp
print(dateutil.parser.parse("2026-01-02").year, importlib.metadata.version("pg8000")[:2], pg8000.legacy.connect.__name__)
print(scramp.ScramClient.__name__)
"""
EITHER_WAY = """
import pg8000.native
import orders.driver
print(orders.driver.Connection is pg8000.native.Connection)
"""
ODD_TIMES = """
import orders.connection
from pg8000.converters import timestamptz_in
print(timestamptz_in("2 January 2026").year, timestamptz_in("99999-01-02 03:04:05+00"), timestamptz_in("infinity"))
"""


def python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "layers" / "orders" / "python")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def test_a_function_does_not_import_what_it_never_uses() -> None:
    assert python(LISTED) == ""


def test_other_code_gets_the_real_modules() -> None:
    assert python(REAL) == "2026 1. connect\nScramClient"


def test_code_that_imported_pg8000_before_keeps_it() -> None:
    assert python(EITHER_WAY) == "True"


def test_a_timestamp_that_only_dateutil_can_parse_is_still_parsed() -> None:
    assert python(ODD_TIMES) == "2026 99999-01-02 03:04:05+00 infinity"
