"""What GET / and the paths of its page answer, and how a page is protected."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.vendor import COMMITTED, HTM, VENDOR, Package, fetch, outdated
from orders import pages
from tests.harness import Service

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MOST_BYTES_TO_SEE_ORDERS = 100_000


def page(service: Service) -> str:
    return service.http("GET", "/", headers=HTML).text


def in_page(text: str, pattern: str) -> list[str]:
    return re.findall(pattern, text, re.DOTALL)


@pytest.mark.parametrize("path", ["/", "/api/", "/api"])
@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_programs_get_the_name_the_version_the_stage_and_links(service: Service, path: str, accept: str) -> None:
    answer = service.http("GET", path, headers={"accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json.keys() == {"name", "version", "stage", "links", "sign_in"}
    assert (
        answer.json["links"].items()
        >= {
            "orders": "/api/orders/",
            "summary": "/api/orders/summary/",
            "openapi": "/api/openapi.json",
            "seed": "/api/dev/seed/",
        }.items()
    )
    for link in answer.json["links"].values():
        assert service.router.match("GET", link) or service.router.match("POST", link)


def test_a_path_below_api_that_leads_nowhere_is_not_found(service: Service) -> None:
    for path in ("/api/nothing", "/api/nothing/", "/nothing", "//nothing"):
        assert (service.http("GET", path).status, service.http("GET", path).json) == (404, {"message": "Not Found"})


def test_a_browser_gets_the_page_and_asks_again_whether_it_has_changed(service: Service) -> None:
    answer = service.http("GET", "/", headers=HTML)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-cache", "Accept, Accept-Encoding")
    again = service.http("GET", "/", headers={**HTML, "if-none-match": answer.headers["etag"]})
    assert (again.status, again.text, again.headers["etag"]) == (304, "", answer.headers["etag"])
    assert service.http("GET", "/", headers={**HTML, "if-none-match": '"other"'}).status == 200


@pytest.mark.parametrize("path", ["/", "/console/signed-in?code=c&state=s&iss=i&error=e"])
def test_a_page_loads_only_files_of_the_service_and_makes_no_markup_of_text(service: Service, path: str) -> None:
    path, _, query = path.partition("?")
    answer = service.http("GET", path, headers=HTML, query=query)
    policy = dict(f"{directive} ".strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["style-src"] == policy["img-src"] == policy["connect-src"] == "'self'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
    assert not [word for word in ("unsafe", "*", "http", "data:") if word in answer.headers["content-security-policy"]]
    [imports] = in_page(answer.text, r'<script type="importmap">(.*?)</script>')
    digest = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    # The only other script without an address is data, which no browser runs.
    inline = in_page(answer.text, r"<script(?![^>]* src=)([^>]*)>")
    assert [attributes.strip() for attributes in inline] == ['type="importmap"', 'type="application/json" id="settings"']
    assert not in_page(answer.text, r"<style|\son\w+=|\sstyle=")


@pytest.mark.parametrize("more", ["authuser=0&prompt=none&hd=example.com", "code=twice", "x=%ff", "error_description=%0d%0a"])
def test_a_sign_in_returns_whatever_else_its_issuer_says(service: Service, more: str) -> None:
    """RFC 6749 wants it to be ignored, and issuers do add to their answers."""
    answer = service.http("GET", "/console/signed-in", headers=HTML, query=f"code=c&state=s&{more}")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_a_file_may_be_kept_forever_at_the_address_that_names_its_version(service: Service) -> None:
    addresses = in_page(page(service), r'(?:href|src)="(/console/[^"]+)"')
    assert addresses
    for address in addresses:
        answer = service.http("GET", address)
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        _, _, version, name = address.split("/", 3)
        # While traffic shifts to another release, its page may be answered by this one.
        other = service.http("GET", f"/console/{'0' * len(version)}/{name}")
        assert (other.status, other.text, other.headers["cache-control"]) == (200, answer.text, "no-store")


def test_every_file_that_a_module_imports_is_served(service: Service) -> None:
    root = in_page(page(service), r'src="(/console/\w+)/app.js"')[0]
    assets = VENDOR.parent
    for module in [file for file in assets.rglob("*.js") if file.parent != VENDOR]:
        for name in in_page(module.read_text(), r"""(?:from|import\()\s*"(\.[^"]+)\""""):
            target = (module.parent / name).resolve().relative_to(assets)
            assert service.http("GET", f"{root}/{target}").status == 200, f"{module.name} imports {name}"


@pytest.mark.parametrize(
    "name", ["handler.py", "console.html", "vendor", "vendor/preact.LICENSE", "..%2Fhandler.py", "%2E%2E/x.js"]
)
def test_nothing_else_in_the_functions_folder_is_served(service: Service, name: str) -> None:
    assert service.http("GET", f"/console/any/{name}").status == 404


def test_the_icon_is_served_where_browsers_look_for_it(service: Service) -> None:
    answer = service.http("GET", "/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.text.startswith("<svg")


def test_the_list_of_orders_is_seen_after_less_than_100_kb(service: Service) -> None:
    """The page, its styles and scripts, and a full page of orders, as they are sent."""
    text = page(service)
    addresses = set(in_page(text, r'(?:href|src)="(/console/[^"]+)"'))
    root = in_page(text, r'src="(/console/\w+)/app.js"')[0]
    customer = service.customer(name="x" * 200)["id"]
    for _ in range(50):
        service.order(customer, (1, 100), (2, 200), (3, 300))
    parts = [text, service.http("GET", "/api/orders/").text]
    parts += [service.http("GET", address).text for address in {*addresses, f"{root}/list.js", f"{root}/views/orders.js"}]
    # API Gateway does not compress what functions send, so the orders count in full.
    total = sum(len(gzip.compress(part.encode())) for part in parts) + len(parts[1])
    print(f"\n{total} bytes, {total - len(parts[1])} without the orders, in {len(parts)} answers")
    assert total < MOST_BYTES_TO_SEE_ORDERS


@pytest.fixture
def fresh(service: Service) -> Iterator[None]:
    """What pages know about their deployment is read once: here, before and after the test."""
    console, docs = service.module("get_console"), service.module("get_docs")
    known = (pages.deployed_contract, pages.index, console._page, docs._page, docs._contract)
    for remembered in known:
        remembered.cache_clear()
    yield
    for remembered in known:
        remembered.cache_clear()


def test_production_has_no_link_to_seeding(service: Service, monkeypatch: pytest.MonkeyPatch, fresh: None) -> None:
    monkeypatch.setenv("STAGE", "prod")
    answer = service.http("GET", "/api/")
    assert '": ' not in answer.text
    index = answer.json
    assert index["stage"] == "prod"
    assert "seed" not in index["links"]


def test_a_page_knows_where_people_sign_in_and_may_ask_there(
    service: Service, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    pool = "https://orders.auth.eu-central-1.amazoncognito.com"
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("OAUTH_ISSUER", "https://issuer.example.com")
    monkeypatch.setenv("OAUTH_AUTHORIZE_URL", f"{pool}/oauth2/authorize")
    monkeypatch.setenv("OAUTH_TOKEN_URL", f"{pool}/oauth2/token")
    monkeypatch.setenv("OAUTH_CLIENT_ID", "</script><script>alert(1)</script>")
    assert service.http("GET", "/api/").json["sign_in"] == {
        "issuer": "https://issuer.example.com",
        "authorization_endpoint": f"{pool}/oauth2/authorize",
        "token_endpoint": f"{pool}/oauth2/token",
        "end_session_endpoint": None,
        "client_id": "</script><script>alert(1)</script>",
        "scopes": [
            *("customers/erase", "customers/read", "customers/write", "events/read", "exports/write"),
            *("orders/read", "orders/write", "webhooks/read", "webhooks/write"),
        ],
    }
    answer = service.http("GET", "/", headers=HTML)
    assert f"connect-src 'self' {pool};" in answer.headers["content-security-policy"]
    [settings] = in_page(answer.text, r'id="settings">(.*?)</script>')
    assert json.loads(settings)["sign_in"]["client_id"] == "</script><script>alert(1)</script>"
    assert f"connect-src 'self' {pool};" in service.http("GET", "/api/docs/").headers["content-security-policy"]
    flows = service.http("GET", "/api/openapi.json").json["components"]["securitySchemes"]["oauth2"]["flows"]
    assert flows["authorizationCode"]["authorizationUrl"] == f"{pool}/oauth2/authorize"
    assert {flow["tokenUrl"] for flow in flows.values()} == {f"{pool}/oauth2/token"}


def test_the_libraries_are_those_of_npm_byte_for_byte(tmp_path: Path) -> None:
    assert outdated() == {}
    assert {file.name for file in VENDOR.iterdir()} == {target for package in COMMITTED for target in package.files.values()}
    for file in VENDOR.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "htm.js").write_text("changed")
    assert [file.name for file in outdated(tmp_path)] == ["htm.js"]


def test_an_archive_of_npm_that_is_not_the_pinned_one_is_refused() -> None:
    other = base64.b64encode(hashlib.sha512(b"another archive").digest()).decode()
    with pytest.raises(ValueError, match=r"npm's archive of htm 3\.1\.1 is not the one"):
        fetch(Package(HTM.name, HTM.version, f"sha512-{other}"))
