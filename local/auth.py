"""The JWT authorizer of an HTTP API, and an issuer of tokens for the laptop."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.events import HttpRequest, HttpResponse, message

AUDIENCE = "orders-local"
KEY_ID = "local-1"
KEY_BITS = 2048
TOKEN_SECONDS = 12 * 3600
JWKS_PATH = "/.well-known/jwks.json"
ALGORITHM = "RS256"  # HTTP APIs accept RSA only


class Issuer:
    """Signs tokens with its own key and publishes the public half as a JWKS."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
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
        # The path that openapi.json names, so that the documentation page can authorize itself.
        if (request.method, request.raw_path) == ("POST", "/oauth2/token"):
            return self._grant(dict(parse_qsl(request.body.decode(errors="replace"))))
        return None

    def _grant(self, form: dict[str, str]) -> HttpResponse:
        """Client credentials, without checking who asks."""
        if form.get("grant_type") != "client_credentials":
            return _json(400, {"error": "unsupported_grant_type"})
        token = self.token(form.get("scope", "").split(), form.get("client_id", "laptop"))
        return _json(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

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
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}{JWKS_PATH}"},
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


def _json(status: int, document: Any) -> HttpResponse:
    return HttpResponse(status, [("content-type", "application/json")], json.dumps(document).encode())


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
