"""Signing in: the code flow with PKCE and a redirect to this machine for people, client credentials for machines."""

import base64
import hashlib
import secrets
import sys
import threading
import time
import webbrowser
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from orders_cli.errors import Unauthorized, WrongUse
from orders_cli.tokens import Login
from orders_cli.transport import is_private, once, split

SIGN_IN_SECONDS = 300
PAGE = "<!doctype html><meta charset=utf-8><title>Orders</title><p>{}</p>"


def endpoints(url: str, issuer: str | None) -> tuple[str | None, str, list[str]]:
    """Where one signs in (if people can), where tokens come from, and the scopes there are.

    An issuer says so in its OpenID configuration; without one, the service does in its openapi.json.
    """
    contract = _document(f"{url}/api/openapi.json")
    flows = contract.get("components", {}).get("securitySchemes", {}).get("oauth2", {}).get("flows", {})
    code, machine = flows.get("authorizationCode", {}), flows.get("clientCredentials", {})
    scopes = sorted({**machine.get("scopes", {}), **code.get("scopes", {})})
    if issuer:
        found = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        authorize, token = found.get("authorization_endpoint"), found.get("token_endpoint")
    else:
        authorize, token = code.get("authorizationUrl"), machine.get("tokenUrl") or code.get("tokenUrl")
    if not token:
        raise WrongUse("Nobody says where tokens come from; name the issuer with --issuer")
    return (urljoin(f"{url}/", authorize) if authorize else None), urljoin(f"{url}/", token), scopes


def consoles_client(url: str) -> str:
    """Whose redirects include this machine's. Raises WrongUse if the service names none."""
    sign_in = _document(f"{url}/api/").get("sign_in", {})
    if sign_in is None:
        raise WrongUse("The service requires no token: there is nothing to sign in to")
    known = sign_in.get("client_id")
    if not known:
        raise WrongUse("The service does not say which app client people use; name it with --client-id")
    return str(known)


def _document(url: str) -> dict[str, Any]:
    if not is_private(split(url)):
        raise WrongUse(f"Where to sign in is not asked without encryption, as at {url}: use https://")
    answer = once("GET", url, {"Accept": "application/json"})
    if answer.status != 200 or not isinstance(answer.document, dict):
        raise WrongUse(f"{url} should be a JSON document, but answers {answer.status}")
    return answer.document


def as_person(login: Login, authorize_url: str, port: int, *, browser: bool) -> Login:
    """Shows the issuer's page in a browser, and waits for it to redirect to this machine."""
    if not is_private(split(authorize_url)):
        raise WrongUse(f"Nobody signs in without encryption, as at {authorize_url}: the issuer needs https://")
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    try:
        server = Redirected(port, state)
    except OSError as reason:
        raise WrongUse(f"Port {port} is taken; --port names another one, which the issuer has to know") from reason
    with server:
        # Cognito lets a redirect without TLS go to this name only.
        redirect = f"http://localhost:{server.server_port}/callback"
        question = {
            "response_type": "code",
            "client_id": login.client_id,
            "redirect_uri": redirect,
            "scope": login.scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page = f"{authorize_url}{'&' if urlsplit(authorize_url).query else '?'}{urlencode(question)}"
        print(f"Sign in at\n  {page}", file=sys.stderr, flush=True)
        if browser:
            # Waits for a browser that runs in the terminal, which waits for our answer.
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
        code = server.wait()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    # A public client has no secret to send, and renews with the refresh token.
    return replace(login, client_secret=None).fetched(form)


class Redirected(HTTPServer):
    """Receives the one redirect that has our state. Anything else that calls this port changes nothing."""

    timeout = 1

    def __init__(self, port: int, state: str) -> None:
        super().__init__(("127.0.0.1", port), Callback)
        self.state = state
        self.result: dict[str, str] = {}

    def handle_error(self, *_: Any) -> None:
        """A connection that breaks off is no redirect."""

    def wait(self) -> str:
        deadline = time.monotonic() + SIGN_IN_SECONDS
        while not self.result:
            if time.monotonic() > deadline:
                raise Unauthorized(f"Nobody signed in within {SIGN_IN_SECONDS} seconds")
            self.handle_request()
        if "code" not in self.result:
            raise Unauthorized(
                "The issuer refused to sign in", self.result.get("error_description") or self.result.get("error", "")
            )
        return self.result["code"]


class Callback(BaseHTTPRequestHandler):
    server: Redirected
    # A browser may open a connection and send nothing.
    timeout = 5

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        state = query.get("state", "").encode()
        if parts.path != "/callback" or not secrets.compare_digest(state, self.server.state.encode()):
            self._answer(404, "Nothing is here.")
            return
        self._answer(200, "You can close this window." if "code" in query else "The issuer refused to sign in.")
        self.server.result = query

    def _answer(self, status: int, text: str) -> None:
        body = PAGE.format(text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The request holds the code, which nobody needs to read."""
