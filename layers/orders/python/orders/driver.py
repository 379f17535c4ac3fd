"""pg8000 without the parts that no function uses, which are most of what importing it costs.

`import pg8000.native` also loads a second driver (pg8000.legacy), SCRAM, dateutil and importlib.metadata. Stand-ins for these,
present only while pg8000 is imported, save three quarters of the instructions (tests/budgets has the
figures). SCRAM is loaded when a server asks for it, dateutil for a timestamp that the standard library cannot read.
Everything of pg8000 is imported from here, so that no other import can come first.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands for a module whose names are looked up when they are used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def _parse_timestamp(text: str) -> Any:
    return importlib.import_module("dateutil.parser").parse(text)


def _stand_ins() -> dict[str, ModuleType]:
    package, metadata, dateutil, parser = map(ModuleType, ("pg8000", "importlib.metadata", "dateutil", "dateutil.parser"))
    spec = importlib.util.find_spec("pg8000")
    assert spec is not None
    package.__path__ = list(spec.submodule_search_locations or [])
    metadata.version = lambda _: "unknown"  # type: ignore[attr-defined]  # only shown, and never by us
    parser.parse, parser.ParserError = _parse_timestamp, ValueError  # type: ignore[attr-defined]
    scramp = _Deferred("scramp")
    return {module.__name__: module for module in (package, metadata, dateutil, parser, scramp)}


@contextmanager
def _standing_in() -> Iterator[None]:
    """Afterwards everybody else gets the real modules; pg8000's package stays as it is, for its submodules."""
    if "pg8000" in sys.modules:
        yield
        return
    stand_ins = _stand_ins()
    former = {name: sys.modules[name] for name in stand_ins if name in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            if name != "pg8000":
                del sys.modules[name]
        sys.modules.update(former)


with _standing_in():
    from pg8000 import core
    from pg8000.converters import make_params
    from pg8000.exceptions import DatabaseError, InterfaceError
    from pg8000.native import Connection, to_statement

__all__ = ["Connection", "DatabaseError", "InterfaceError", "core", "make_params", "to_statement"]
