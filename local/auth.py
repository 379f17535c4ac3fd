"""The JWT authorizer of an HTTP API, and an issuer of tokens for the laptop."""

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.events import HttpRequest, HttpResponse, message
from local.sign_in import CLIENT, Refused, SignIns

AUDIENCE = "orders-local"
KEY_ID = "local-1"
KEY_BITS = 2048
TOKEN_SECONDS = 12 * 3600
JWKS_PATH = "/.well-known/jwks.json"
# As in openapi.json and at Cognito.
AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address
# As long as Cognito's.
PERSON_SECONDS = 3600
ALGORITHM = "RS256"  # HTTP APIs accept RSA only


class Issuer:
    """Signs tokens with its own key and publishes the public half as a JWKS."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.sign_ins = SignIns()
        self.key = _remembered_key(folder / "issuer.pem")

    def token(self, scopes: list[str], subject: str = "laptop", **claims: Any) -> str:
        now = int(time.time())
        payload = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
            **claims,
        }
        return jwt.encode(payload, self.key, ALGORITHM, headers={"kid": KEY_ID})

    def key_set(self) -> jwt.PyJWKSet:
        return jwt.PyJWKSet.from_dict(self.documents()[JWKS_PATH])

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """What the issuer serves next to the API: its documents, and tokens. None for any other path."""
        if request.method == "GET" and request.raw_path in self.documents():
            return _json(200, self.documents()[request.raw_path])
        if request.method in ("GET", "POST") and request.raw_path == AUTHORIZE_PATH:
            return self.sign_ins.authorize(request)
        if (request.method, request.raw_path) == ("POST", TOKEN_PATH):
            try:
                form = dict(parse_qsl(request.body.decode(errors="replace")))
                return self._grant({"client_id": _basic_name(request), **form})
            except Refused as refusal:
                return _json(400, {"error": refusal.error, "error_description": str(refusal)})
        return None

    def _grant(self, form: dict[str, str]) -> HttpResponse:
        """Raises Refused. Whoever has client credentials is not checked."""
        kind = form.get("grant_type")
        if kind == "client_credentials":
            token = self.token(form.get("scope", "").split(), form["client_id"] or "laptop")
            return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})
        if kind not in ("authorization_code", "refresh_token"):
            raise Refused("unsupported_grant_type", "There are authorization_code, refresh_token and client_credentials.")
        grant = self.sign_ins.redeem(form) if kind == "authorization_code" else self.sign_ins.renew(form)
        ends = int(time.time()) + PERSON_SECONDS
        return _json(
            200,
            {
                "access_token": self.token(grant.scopes, grant.subject, client_id=CLIENT, exp=ends),
                "token_type": "Bearer",
                "expires_in": PERSON_SECONDS,
                "refresh_token": self.sign_ins.refresh_token(grant),
                "scope": " ".join(grant.scopes),
            },
        )

    def documents(self) -> dict[str, Any]:
        """What the issuer serves, by path."""
        public = {
            **jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True),
            "kid": KEY_ID,
            "use": "sig",
            "alg": ALGORITHM,
        }
        return {
            JWKS_PATH: {"keys": [public]},
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}{JWKS_PATH}",
                "authorization_endpoint": f"{self.url}{AUTHORIZE_PATH}",
                "token_endpoint": f"{self.url}{TOKEN_PATH}",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            },
        }


@dataclass(frozen=True)
class Authorizer:
    """Checks signature (by JWKS and kid), issuer, audience (or client_id if there is none), times, and the route's scopes."""

    issuer: str
    audience: str
    keys: jwt.PyJWKSet

    def authorize(self, authorization: str | None, scopes: tuple[str, ...]) -> dict[str, Any] | HttpResponse:
        """What the event carries about the token, or the refusal. Any one of the scopes suffices."""
        if authorization is None:
            return message(401, "Unauthorized", ("www-authenticate", "Bearer"))
        try:
            claims = self._claims(authorization.removeprefix("Bearer ").strip())
            granted = _words(claims.get("scope", claims.get("scp", "")))
        except Exception as reason:  # no token gets in by making this code fail
            return message(401, "Unauthorized", ("www-authenticate", _challenge("", "invalid_token", str(reason))))
        if not set(scopes) & set(granted):
            challenge = _challenge(" ".join(scopes), "insufficient_scope", "the token lacks every scope of this route")
            return message(403, "Forbidden", ("www-authenticate", challenge))
        return {"jwt": {"claims": {name: _claim_text(value) for name, value in claims.items()}, "scopes": list(scopes)}}

    def _claims(self, token: str) -> dict[str, Any]:
        key = self.keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key.key, algorithms=[ALGORITHM], issuer=self.issuer, options={"verify_aud": False, "require": ["exp", "iss"]}
        )
        audience = claims.get("aud", claims.get("client_id"))
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise ValueError("the token does not have a valid audience")
        return claims


def fetch_keys(issuer: str) -> jwt.PyJWKSet:
    """The keys of an external issuer, found through its OpenID configuration."""
    from urllib.request import urlopen  # noqa: PLC0415 - only needed for an external issuer

    with urlopen(f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=10) as answer:  # noqa: S310
        jwks_uri = json.load(answer)["jwks_uri"]
    with urlopen(jwks_uri, timeout=10) as answer:  # noqa: S310
        return jwt.PyJWKSet.from_dict(json.load(answer))


def _remembered_key(file: Path) -> rsa.RSAPrivateKey:
    if not file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
    key_again = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key_again, rsa.RSAPrivateKey)
    return key_again


def _basic_name(request: HttpRequest) -> str:
    """The client that says its name in the header, as RFC 6749 prefers; empty if none does."""
    scheme, _, pair = (request.header("authorization") or "").partition(" ")
    try:
        return unquote_plus(base64.b64decode(pair).decode().partition(":")[0]) if scheme.lower() == "basic" else ""
    except ValueError:
        return ""


def _json(status: int, document: Any) -> HttpResponse:
    return HttpResponse(
        status, [("content-type", "application/json"), ("cache-control", "no-store")], json.dumps(document).encode()
    )


def _challenge(scope: str, error: str, description: str) -> str:
    # The description may quote the token, which may contain line breaks.
    safe = "".join(character if " " <= character <= "~" else "?" for character in description.replace('"', "'"))
    return f'Bearer scope="{scope}" error="{error}" error_description="{safe}"'


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [str(word) for word in value]
    raise ValueError("the token's scopes are neither text nor a list")


def _claim_text(value: Any) -> str:
    """Every claim reaches a function as text; a list is in brackets, as API Gateway writes it."""
    if isinstance(value, list):
        return f"[{' '.join(map(str, value))}]"
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)
