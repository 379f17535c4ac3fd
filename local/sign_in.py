"""How people sign in at the laptop's issuer: the authorization-code flow with PKCE, which Cognito's hosted pages play on AWS.

It is as strict as Cognito about clients, addresses, codes and verifiers, so that what works here works there. It only asks
no password: whoever sits at this machine may be anybody.
"""

import base64
import html
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

from contract.edge import CLI_CALLBACK, CONSOLE_CALLBACK
from local.events import HttpRequest, HttpResponse

CLIENT = "console"
CODE_SECONDS = 60
REFRESH_SECONDS = 12 * 3600
# A SHA-256 in base64url, without padding.
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
# What the page passes on from its address to its form.
FIELDS = ("response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method")
STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --edge: #8792a1; --soft: #5a6675; }
:root { --accent: #1f5c9e; --on: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f141b; --card: #171e27; --edge: #6b7889; --soft: #a0acba; --accent: #7db4f5; --on: #0c1826; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; background: var(--ground); margin: 0; padding: 8vh 1rem 2rem; }
main { max-width: 26rem; margin: auto; background: var(--card); border-radius: 14px; padding: 1.75rem; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
p { color: var(--soft); }
fieldset { border: 0; padding: 0; margin: 1rem 0; }
legend, .name { font-weight: 600; padding: 0; display: block; }
label { display: block; padding: .2rem 0; }
input:not([type]) { width: 100%; font: inherit; padding: .45rem .75rem; border: 1px solid var(--edge); border-radius: 9px; }
button { font: inherit; font-weight: 550; padding: .5rem 1rem; border: 1px solid var(--edge); border-radius: 9px; }
button { background: none; color: inherit; cursor: pointer; }
.primary { background: var(--accent); border-color: var(--accent); color: var(--on); }
"""
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    # Chromium also holds the redirect that answers the form to this.
    f"form-action 'self' {CLI_CALLBACK}; base-uri 'none'; frame-ancestors 'none'"
)


class Refused(Exception):
    """error: as RFC 6749 names it. The text is for developers."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True)
class Grant:
    """What somebody has allowed the console to do for them."""

    subject: str
    scopes: list[str]
    redirect_uri: str
    challenge: str
    ends: float


class SignIns:
    """Codes and refresh tokens, which end with the laptop cloud; each can be used once."""

    def __init__(self) -> None:
        self.codes: dict[str, Grant] = {}
        self.refreshable: dict[str, Grant] = {}

    def authorize(self, request: HttpRequest) -> HttpResponse:
        """The page that asks who somebody is, or the way back to the console once they have said so."""
        given = dict(parse_qsl(request.query if request.method == "GET" else request.body.decode(errors="replace")))
        host = request.header("host")
        known = [*(f"{scheme}://{host}{CONSOLE_CALLBACK}" for scheme in ("http", "https")), CLI_CALLBACK]
        if given.get("client_id") != CLIENT or given.get("redirect_uri") not in known:
            # Nobody is sent to an address that is not known to be the client's.
            return _page(400, "<h1>Not a known client</h1><p>client_id or redirect_uri is not the console's.</p>")
        if given.get("response_type") != "code":
            return _back(given, error="unsupported_response_type")
        if given.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(given.get("code_challenge", "")):
            return _back(given, error="invalid_request", error_description="A code challenge by S256 is needed.")
        if request.method == "GET":
            return _page(200, _form(given))
        if given.get("answer") != "yes":
            return _back(given, error="access_denied", error_description="The sign-in was given up.")
        scopes = [name.removeprefix("may ") for name in given if name.startswith("may ")]
        code = secrets.token_urlsafe(32)
        subject = given.get("subject", "").strip() or "laptop"
        ends = time.time() + CODE_SECONDS
        self.codes[code] = Grant(subject, scopes, given["redirect_uri"], given["code_challenge"], ends)
        return _back(given, code=code)

    def redeem(self, form: dict[str, str]) -> Grant:
        """What a code stands for. Raises Refused; the code is used up in any case."""
        grant = self.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "").encode(errors="replace")
        challenge = base64.urlsafe_b64encode(sha256(verifier).digest()).rstrip(b"=").decode()
        if form.get("client_id") != CLIENT:
            raise Refused("invalid_client", "client_id is not the console's.")
        if grant is None or grant.ends < time.time():
            raise Refused("invalid_grant", "The code is unknown, used or too old.")
        if form.get("redirect_uri") != grant.redirect_uri:
            raise Refused("invalid_grant", "redirect_uri is not the one that the code was given for.")
        if not secrets.compare_digest(challenge, grant.challenge):
            raise Refused("invalid_grant", "code_verifier does not fit the challenge.")
        return grant

    def renew(self, form: dict[str, str]) -> Grant:
        """What a refresh token stands for. Raises Refused."""
        grant = self.refreshable.pop(form.get("refresh_token", ""), None)
        if form.get("client_id") != CLIENT:
            raise Refused("invalid_client", "client_id is not the console's.")
        if grant is None or grant.ends < time.time():
            raise Refused("invalid_grant", "The refresh token is unknown, used or too old.")
        return grant

    def refresh_token(self, grant: Grant) -> str:
        token = secrets.token_urlsafe(32)
        ends = time.time() + REFRESH_SECONDS
        self.refreshable[token] = Grant(grant.subject, grant.scopes, grant.redirect_uri, grant.challenge, ends)
        return token


def _back(given: dict[str, str], **answer: str) -> HttpResponse:
    query = urlencode({**answer, **({"state": given["state"]} if "state" in given else {})})
    return HttpResponse(302, [("location", f"{given['redirect_uri']}?{query}"), ("cache-control", "no-store")])


def _page(status: int, content: str) -> HttpResponse:
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in</title>
<style>{STYLE}</style>
</head>
<body><main>{content}</main></body>
</html>
"""
    headers = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"), ("content-security-policy", POLICY)]
    return HttpResponse(status, headers, page.encode())


def _form(given: dict[str, str]) -> str:
    hidden = "".join(f'<input type="hidden" name="{name}" value="{html.escape(given.get(name, ""))}">' for name in FIELDS)
    boxes = "".join(
        f'<label><input type="checkbox" name="may {html.escape(scope)}" checked> {html.escape(scope)}</label>'
        for scope in given.get("scope", "").split()
    )
    return f"""<h1>Sign in</h1>
<p>This is the laptop’s own issuer. It asks no password: be whoever you want to try the service as.</p>
<form method="post" action="/oauth2/authorize">{hidden}
<label><span class="name">Name</span><input name="subject" value="laptop" maxlength="200" autofocus></label>
<fieldset><legend>What the console may do for you</legend>{boxes}</fieldset>
<button class="primary" name="answer" value="yes">Sign in</button> <button name="answer" value="no">Give up</button>
</form>"""
