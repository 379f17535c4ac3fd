"""Signing in: as a machine at the laptop's issuer, and as a person at an issuer that plays the code flow with PKCE."""

import base64
import hashlib
import json
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

import pytest

from drill.laptop import Laptop
from drill.servers import wait_until
from tests.cli.conftest import Shell
from tests.cli.server import Asked, Reply, SmallServer

EMPTY: dict[str, Any] = {"results": [], "next": None, "next_cursor": None}
SECRET = {"ORDERS_CLIENT_SECRET": "s3cret:/"}


def tokens(shell: Shell) -> Path:
    return shell.home / ".config" / "orders" / "tokens.json"


def change_login(shell: Shell, **fields: object) -> None:
    stored = json.loads(tokens(shell).read_text())
    for login in stored.values():
        login.update(fields)
    tokens(shell).write_text(json.dumps(stored))


def test_a_machine_signs_in_to_the_laptop_works_and_signs_out(shell: Shell, guarded: Laptop) -> None:
    shell.environment["ORDERS_URL"] = guarded.url
    assert shell("list").code == 4
    signed_in = shell.ok("login", "--machine", "--client-id", "robot", "--json", **SECRET).json
    assert {"orders/read", "orders/write", "customers/write"} <= set(signed_in["scope"].split())
    customer = shell.ok("customers", "create", "--email", "robot@example.com", "--name", "R", "--json").json["id"]
    order = shell.ok("create", "--customer", customer, "--item", "A:1:1", "--json").json["id"]
    assert shell.ok("show", order, "--json").json["events"][0]["actor"] == "robot"
    assert stat.S_IMODE(tokens(shell).stat().st_mode) == 0o600
    assert stat.S_IMODE(tokens(shell).parent.stat().st_mode) == 0o700
    assert [path.name for path in tokens(shell).parent.iterdir()] == ["tokens.json"]
    assert shell.ok("logout").out == f"Signed out of {guarded.url}\n"
    assert shell("list").code == 4
    assert shell.ok("logout", "--json").json["signed_out"] is False


def test_an_expired_or_refused_token_of_a_machine_is_renewed(shell: Shell, guarded: Laptop) -> None:
    shell.environment["ORDERS_URL"] = guarded.url
    shell.ok("login", "--machine", "--client-id", "robot", **SECRET)
    for stale in ({"expires_at": time.time() + 30}, {"access_token": "refused"}):
        change_login(shell, **stale)
        shell.ok("list")
        [login] = json.loads(tokens(shell).read_text()).values()
        assert login["access_token"] != "refused"
        assert login["expires_at"] > time.time() + 3600
        assert stat.S_IMODE(tokens(shell).stat().st_mode) == 0o600


def test_a_narrow_scope_is_asked_for_and_the_service_holds_it(shell: Shell, guarded: Laptop) -> None:
    shell.environment["ORDERS_URL"] = guarded.url
    shell.ok("login", "--machine", "--client-id", "reader", "--scope", "orders/read", **SECRET)
    assert shell("list").code == 0
    assert shell("pay", 1).code == 4


def test_the_folder_is_chosen_by_xdg_and_a_token_of_the_environment_comes_first(shell: Shell, guarded: Laptop) -> None:
    chosen = shell.home / "elsewhere"
    shell.environment |= {"ORDERS_URL": guarded.url, "XDG_CONFIG_HOME": str(chosen)}
    shell.ok("login", "--machine", "--client-id", "robot", **SECRET)
    assert (chosen / "orders" / "tokens.json").exists()
    assert shell("list", ORDERS_TOKEN="nonsense").code == 4


class PlayedIssuer(SmallServer):
    """Service and issuer in one: an authorization endpoint that redirects at once, and a token endpoint that checks PKCE."""

    refusal = ""

    def __enter__(self) -> "PlayedIssuer":
        super().__enter__()
        self.questions: list[dict[str, str]] = []
        flow = {"tokenUrl": "/oauth2/token", "scopes": {"orders/read": ""}}
        flows = {"authorizationCode": {**flow, "authorizationUrl": "/oauth2/authorize"}, "clientCredentials": flow}
        contract = {"components": {"securitySchemes": {"oauth2": {"type": "oauth2", "flows": flows}}}}
        self.answer("GET", "/api/openapi.json", (200, contract))
        self.answer("GET", "/oauth2/authorize", self.authorize)
        self.answer("POST", "/oauth2/token", self.token)
        self.answer("GET", "/api/orders/", self.orders)
        return self

    def authorize(self, asked: Asked) -> Reply:
        self.questions.append(asked.query)
        result = {"error": "access_denied", "error_description": "Not you"} if self.refusal else {"code": "the-code"}
        back = f"{asked.query['redirect_uri']}?{urlencode({**result, 'state': asked.query['state']})}"
        return 302, "", {"Location": back}

    def token(self, asked: Asked) -> Reply:
        form, question = asked.form, self.questions[-1]
        if form["grant_type"] == "refresh_token":
            assert form["refresh_token"] == "refresh-1"
            return 200, {"access_token": "second", "expires_in": 3600}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        assert (form["grant_type"], form["code"]) == ("authorization_code", "the-code")
        assert (question["code_challenge"], question["code_challenge_method"]) == (challenge, "S256")
        assert form["redirect_uri"] == question["redirect_uri"]
        assert form["client_id"] == question["client_id"] == "console"
        assert "authorization" not in asked.headers
        return 200, {"access_token": "first", "refresh_token": "refresh-1", "expires_in": 3600}

    def orders(self, asked: Asked) -> Reply:
        good = asked.headers.get("authorization") in ("Bearer first", "Bearer second")
        return (200, EMPTY) if good else (401, {"message": "Unauthorized"})


@pytest.fixture
def browsing(shell: Shell) -> Shell:
    """A browser that opens what it is given, follows redirects, and runs in the foreground."""
    script = shell.home / "browser.py"
    script.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    shell.environment["BROWSER"] = f"{sys.executable} {script} %s"
    return shell


def test_a_person_signs_in_with_the_code_flow_and_the_token_is_refreshed(browsing: Shell) -> None:
    with PlayedIssuer() as server:
        browsing.environment["ORDERS_URL"] = server.url
        browsing.ok("login", "--client-id", "console", "--port", 0)
        assert server.questions[0]["response_type"] == "code"
        assert server.questions[0]["scope"] == "orders/read"
        assert re.fullmatch(r"http://localhost:\d+/callback", server.questions[0]["redirect_uri"])
        browsing.ok("list")
        assert server.requests[-1].headers["authorization"] == "Bearer first"
        change_login(browsing, expires_at=0)
        browsing.ok("list")
        assert server.requests[-1].headers["authorization"] == "Bearer second"
        change_login(browsing, access_token="revoked")
        browsing.ok("list")
        assert [request.path for request in server.requests[-3:]] == ["/api/orders/", "/oauth2/token", "/api/orders/"]


def test_a_person_need_not_know_the_app_client(browsing: Shell) -> None:
    with PlayedIssuer() as server:
        server.answer("GET", "/api/", (200, {"sign_in": {"client_id": "console"}}), (200, {"sign_in": {"client_id": None}}))
        browsing.environment["ORDERS_URL"] = server.url
        browsing.ok("login", "--port", 0)
        assert server.questions[0]["client_id"] == "console"
        ended = browsing("login", "--port", 0)
        assert (ended.code, "--client-id" in ended.err) == (2, True)
    assert browsing("login", "--machine", **SECRET).code == 2


@pytest.mark.parametrize("page", ["file:///etc/passwd", "http://issuer.example.com/", "https://issuer.example.com/\x1b[2J"])
def test_a_browser_is_only_given_a_page_with_encryption(browsing: Shell, page: str) -> None:
    with PlayedIssuer() as server:
        flows = {"authorizationCode": {"authorizationUrl": page, "tokenUrl": "/oauth2/token", "scopes": {}}}
        contract = {"components": {"securitySchemes": {"oauth2": {"flows": flows}}}}
        server.answer("GET", "/api/openapi.json", (200, contract))
        ended = browsing("login", "--client-id", "console", "--port", 0, "--url", server.url)
    assert (ended.code, "Sign in at" in ended.err, "\x1b" in ended.err) == (2, False, False)


def test_nobody_signs_in_where_no_token_is_required(orders: Shell) -> None:
    ended = orders("login")
    assert (ended.code, ended.err) == (2, "orders: The service requires no token: there is nothing to sign in to\n")


def test_where_to_sign_in_is_not_asked_without_encryption(shell: Shell) -> None:
    """Whoever can change the answer would get the client's secret."""
    words = ("login", "--machine", "--client-id", "robot")
    assert shell(*words, "--url", "http://orders.example.com", **SECRET).code == 2
    with PlayedIssuer() as server:
        assert shell(*words, "--issuer", "http://issuer.example.com", "--url", server.url, **SECRET).code == 2


@pytest.mark.parametrize("answer", [{"access_token": "two\nlines"}, {"access_token": "t", "expires_in": "soon"}])
def test_an_issuer_that_answers_nonsense_is_no_error_of_the_program(shell: Shell, answer: dict[str, str]) -> None:
    with PlayedIssuer() as server:
        server.answer("POST", "/oauth2/token", (200, answer))
        ended = shell("login", "--machine", "--client-id", "robot", "--url", server.url, **SECRET)
    assert ended.code == (0 if "expires_in" in answer else 4)


def test_a_refused_sign_in_is_said(browsing: Shell) -> None:
    with PlayedIssuer() as server:
        server.refusal = "access_denied"
        ended = browsing("login", "--client-id", "console", "--port", 0, "--url", server.url)
    assert (ended.code, "Not you" in ended.err) == (4, True)
    assert not tokens(browsing).exists()


def test_a_redirect_with_another_state_changes_nothing(shell: Shell) -> None:
    with PlayedIssuer() as server:
        process = shell.start("login", "--client-id", "console", "--port", "0", "--no-browser", "--url", server.url)
        assert process.stderr is not None
        process.stderr.readline()
        page = process.stderr.readline().strip()
        back = parse_qs(urlsplit(page).query)["redirect_uri"][0].replace("localhost", "127.0.0.1")
        for path in (f"{back}?code=evil&state=wrong", f"{back}?code=evil", back.replace("/callback", "/favicon.ico")):
            with pytest.raises(OSError, match="404"):
                urlopen(path, timeout=10)
        assert process.poll() is None
        urlopen(page, timeout=10).read()
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, "Signed in" in out) == (0, True)


def test_ctrl_c_ends_the_wait_for_a_sign_in(shell: Shell) -> None:
    with PlayedIssuer() as server:
        process = shell.start("login", "--client-id", "console", "--port", "0", "--no-browser", "--url", server.url)
        wait_until(lambda: bool(server.requests), "A look at the contract", 30)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_the_issuer_can_be_named(shell: Shell) -> None:
    with PlayedIssuer() as server, SmallServer() as issuer:
        found = {"token_endpoint": f"{issuer.url}/elsewhere"}
        issuer.answer("GET", "/pool/.well-known/openid-configuration", (200, found))
        issuer.answer("POST", "/elsewhere", (400, {"error": "invalid_client"}), (200, {"access_token": "first"}))
        words = ("login", "--client-id", "robot", "--machine", "--issuer", f"{issuer.url}/pool", "--url", server.url)
        refused = shell(*words, **SECRET)
        assert (refused.code, "invalid_client" in refused.err) == (4, True)
        shell.ok(*words, **SECRET)
        shell.ok("list", "--url", server.url)
    assert issuer.requests[-1].headers["authorization"] == f"Basic {base64.b64encode(b'robot:s3cret%3A%2F').decode()}"
    assert shell("login", "--client-id", "x", "--issuer", "http://127.0.0.1:9", "--url", "http://127.0.0.1:9").code == 3
