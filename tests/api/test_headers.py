"""Protective headers: what a browser may do with an answer and who may cache it. Also compression."""

import base64
import gzip
import hashlib
import re
from typing import Any

import pytest

from local.events import http_event
from tests.harness import Service, http_request

ITEM = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
OPEN = ["/api/docs/", "/api/openapi.json"]


def raw(service: Service, path: str, **headers: str) -> dict[str, Any]:
    """The function's raw answer, which may be compressed."""
    request = http_request("GET", path, None, query="", headers=headers)
    match = service.router.match("GET", request.raw_path)
    assert match is not None
    answer: dict[str, Any] = service.invoke(match.function, http_event(request, match.route_key, {}, "request-1", None))
    return answer


def test_nobody_caches_personal_data_or_guesses_its_type(service: Service) -> None:
    customer = service.customer()
    order = service.order(customer["id"])
    path = f"/api/orders/{order['id']}/"
    etag = service.http("GET", path).headers["etag"]
    answers = [
        service.http("GET", "/api/customers/"),
        service.http("GET", f"/api/customers/{customer['id']}/"),
        service.http("PATCH", f"/api/customers/{customer['id']}/", {"name": "B"}),
        service.http("POST", "/api/customers/", {"email": "b@example.com", "name": "B"}),
        service.http("DELETE", "/api/customers/999/"),
        service.http("GET", "/api/orders/"),
        service.http("GET", "/api/orders/summary/"),
        service.http("GET", path),
        service.http("GET", path, headers={"If-None-Match": "*"}),
        service.http("GET", f"{path}events/"),
        service.http("POST", f"{path}items/", ITEM),
        service.http("POST", f"{path}pay/", headers={"If-Match": etag}),
        service.http("POST", f"{path}ship/"),
        service.http("POST", "/api/customers/", "{"),
        service.http("POST", "/api/customers/", "x", headers={"content-type": "text/plain"}),
        service.http("POST", "/api/customers/", "x" * 600_000),
        service.http("POST", "/api/customers/", {}),
        service.http("GET", "/api/orders/1\n/"),
        service.http("POST", "/api/dev/seed/", {"customers": 1}),
        service.http("GET", "/api/health/"),
    ]
    assert {answer.status for answer in answers} == {200, 201, 202, 304, 400, 404, 409, 412, 413, 415, 422}
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", OPEN)
def test_documentation_may_be_cached(service: Service, path: str) -> None:
    answer = service.http("GET", path)
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_only_runs_and_fetches_its_own_files(service: Service) -> None:
    answer = service.http("GET", "/api/docs/")
    policy = dict(directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not [word for word in ("unsafe", "*", "http") if word in answer.headers["content-security-policy"]]
    scripts, styles = (
        re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", answer.text, re.S),
        re.findall(r"<style>(.*?)</style>", answer.text, re.S),
    )
    assert [f"'sha256-{_hash(script)}'" for script in scripts] == policy["script-src"].split()
    assert [f"'sha256-{_hash(style)}'" for style in styles] == policy["style-src"].split()


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("br, gzip", True),
        ("gzip;q=1.0, identity; q=0.5", True),
        ("deflate, gzip ; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
        ("gzip;q=0.000", False),
        ("br;q=1, gzip;Q=0", False),
        ("identity", False),
        ("gzippo", False),
        ("", False),
    ],
)
def test_only_clients_that_accept_gzip_get_it(service: Service, path: str, accepted: str, compressed: bool) -> None:
    answer = raw(service, path, **{"accept-encoding": accepted})
    assert answer["isBase64Encoded"] is compressed
    assert (answer["headers"].get("Content-Encoding") == "gzip") is compressed
    text = gzip.decompress(base64.b64decode(answer["body"])).decode() if compressed else answer["body"]
    assert text == service.http("GET", path).text
