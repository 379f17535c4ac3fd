"""Which function answers a request: the routing of an HTTP API."""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from contract.functions import Function, Route


class Match(NamedTuple):
    """function: its name. path_parameters: decoded, by name."""

    function: str
    route: Route
    route_key: str
    path_parameters: dict[str, str]


class Router:
    """Every route and its twin `<path>/{proxy+}`, which accepts a trailing slash."""

    def __init__(self, functions: Iterable[Function]) -> None:
        """The most specific first: /orders/summary before /orders/{order_id}, and both before /orders/{proxy+}."""
        routes = [(route, route.path.strip("/").split("/"), known.name) for known in functions for route in known.routes]
        self.routes = sorted(routes, key=lambda known: (-len(known[1]), known[0].path.count("{")))

    def match(self, method: str, raw_path: str) -> Match | None:
        """raw_path: as it arrived over the wire."""
        parts = [unquote(part) for part in raw_path.removeprefix("/").split("/")]
        for exact in (True, False):
            for route, pattern, function in self.routes:
                fits = len(parts) == len(pattern) if exact else len(parts) > len(pattern) and len(route.paths) > 1
                if route.method != method or not fits:
                    continue
                variables = _variables(pattern, parts)
                if variables is None:
                    continue
                if exact:
                    return Match(function, route, f"{method} {route.path}", variables)
                proxy = "/".join(parts[len(pattern) :])
                return Match(function, route, f"{method} {route.path}/{{proxy+}}", {**variables, "proxy": proxy})
        return None


def _variables(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    found = {}
    for expected, part in zip(pattern, parts, strict=False):
        if expected.startswith("{") and part:
            found[expected[1:-1]] = part
        elif expected != part:
            return None
    return found
