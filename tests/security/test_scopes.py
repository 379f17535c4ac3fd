"""Every route with every scope: who has which token gets where."""

import re

import pytest

from contract.functions import OPEN_ROUTES, Route, load_functions
from local.auth import AUDIENCE, Authorizer, Issuer
from tests.local.test_gateway import Front, RecordingFunction, bearer

# What is behind each scope, said a second time and by hand: a route that loses its scope is not noticed by what reads it.
READS = {"GET"}
WRITES = {"POST", "PATCH", "PUT", "DELETE"}
BEHIND = (
    ("customers/erase", WRITES, r"/api/customers/{customer_id}/erase"),
    ("customers/read", READS, r"/api/customers(/.*)?"),
    ("customers/write", WRITES, r"/api/customers(/.*)?"),
    # What its receivers answered is not for everybody who sees the order.
    ("webhooks/read", READS, r"/api/orders/{order_id}/webhook-deliveries"),
    ("orders/read", READS, r"/api/orders(/.*)?"),
    ("orders/write", WRITES, r"/api/orders(/.*)?"),
    ("events/read", READS, r"/api/events"),
    ("dev/seed", READS | WRITES, r"/api/dev/seed(/.*)?"),
    ("webhooks/read", READS, r"/api/webhooks(/.*)?"),
    ("webhooks/write", WRITES, r"/api/webhooks(/.*)?"),
    ("exports/write", READS | WRITES, r"/api/exports(/.*)?"),
)
SCOPES = list(dict.fromkeys(scope for scope, _, _ in BEHIND))
FUNCTIONS = load_functions()
ROUTES = [route for function in FUNCTIONS for route in function.routes]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"), "https://issuer.example.com")


@pytest.fixture
def front(issuer: Issuer) -> Front:
    """A gateway with the routes of the service."""
    front = Front(Authorizer(issuer.url, AUDIENCE, issuer.key_set()))
    front.functions = [RecordingFunction(*function.routes) for function in FUNCTIONS if function.routes]
    front.gateway.set_functions(front.functions)
    return front


def scope_of(route: Route) -> str | None:
    """The one that gets in, or None if everybody does."""
    if route.key in OPEN_ROUTES:
        return None
    return next(scope for scope, methods, path in BEHIND if route.method in methods and re.fullmatch(path, route.path))


def path_to(route: Route) -> str:
    return re.sub(r"{\w+}", "1", route.path)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_a_route_is_open_to_its_scope_and_to_no_other(front: Front, issuer: Issuer, route: Route) -> None:
    wanted = scope_of(route)
    paths = [path_to(route)] + [f"{path_to(route)}/"] * (not route.path.endswith("/"))
    for path in paths:
        got_in = [scope for scope in SCOPES if front.ask(route.method, path, b"", bearer(issuer.token([scope]))).status == 200]
        assert got_in == (SCOPES if wanted is None else [wanted]), path
        others = [scope for scope in SCOPES if scope != wanted]
        refused = front.ask(route.method, path, b"", bearer(issuer.token(others)))
        assert (refused.status, front.ask(route.method, path).status) == ((200, 200) if wanted is None else (403, 401)), path


def test_only_the_exact_scope_counts(front: Front, issuer: Issuer) -> None:
    for route in ROUTES:
        if wanted := scope_of(route):
            similar = [wanted.upper(), wanted.title(), wanted.replace("/", ":"), f"{wanted}/", wanted.split("/")[0], "*"]
            token = issuer.token(similar)
            assert front.ask(route.method, path_to(route), b"", bearer(token)).status == 403


def test_what_reached_a_function_had_the_scope(front: Front, issuer: Issuer) -> None:
    """No method that the contract does not have goes around the authorizer."""
    for route in ROUTES:
        for method in ("HEAD", "OPTIONS", "PUT", "TRACE", "get", "POST ", "X"):
            front.ask(method, path_to(route), b"", bearer(issuer.token(SCOPES)))
            front.ask(method, path_to(route))
    assert front.events == []


def test_every_scope_is_behind_a_route_or_announced() -> None:
    used = {scope for route in ROUTES for scope in route.scopes}
    assert used <= set(SCOPES)
    assert all(route.scopes in ((), (scope_of(route),)) for route in ROUTES)
