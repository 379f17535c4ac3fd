"""What browsers get: files and pages, compressed where they take it, and what the pages know about their deployment."""

import gzip
import json
import os
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from orders.errors import Problem
from orders.operations import openapi
from orders.requests import Request
from orders.responses import Response, response

SEEDING = "/api/dev/"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
# The settings of a sign-in, by their names in the metadata of OAuth servers (RFC 8414).
SIGN_IN = {
    "authorization_endpoint": "OAUTH_AUTHORIZE_URL",
    "token_endpoint": "OAUTH_TOKEN_URL",
    "end_session_endpoint": "OAUTH_LOGOUT_URL",
    "client_id": "OAUTH_CLIENT_ID",
}


def file_response(request: Request, content_type: str, body: str | bytes, headers: dict[str, str]) -> Response:
    if request.accepts_gzip:
        encoded, headers = _compressed(body), {**headers, "Content-Encoding": "gzip"}
    elif isinstance(body, str):
        return response(200, content_type, body, headers)
    else:
        encoded = b64encode(body).decode()
    return {**response(200, content_type, encoded, headers), "isBase64Encoded": True}


@cache
def _compressed(body: str | bytes) -> str:
    return b64encode(gzip.compress(body.encode() if isinstance(body, str) else body, mtime=0)).decode()


def source_of(text: str) -> str:
    """A script or style that stands in a page, as a content security policy names it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def deployed_contract() -> dict[str, Any]:
    """openapi.json with what this stage deploys, production having no seeding, and with the addresses of its issuer."""
    contract: dict[str, Any] = json.loads(openapi())
    if os.environ["STAGE"] == "prod":
        contract["paths"] = {path: item for path, item in contract["paths"].items() if not path.startswith(SEEDING)}
    used = {scope for operation in _operations(contract) for needed in operation["security"] for scope in needed["oauth2"]}
    known = sign_in() or {}
    for flow in contract["components"]["securitySchemes"]["oauth2"]["flows"].values():
        flow["scopes"] = {scope: text for scope, text in flow["scopes"].items() if scope in used}
        flow["tokenUrl"] = known.get("token_endpoint") or flow["tokenUrl"]
        if "authorizationUrl" in flow:
            flow["authorizationUrl"] = known.get("authorization_endpoint") or flow["authorizationUrl"]
    return contract


def sign_in() -> dict[str, str | None] | None:
    """What a page needs to get a token; None where none is required, null for what an operator did not name."""
    if not (issuer := os.environ.get("OAUTH_ISSUER")):
        return None
    return {"issuer": issuer, **{name: os.environ.get(variable) or None for name, variable in SIGN_IN.items()}}


def content_policy(scripts: str, styles: str, images: str = "'self'") -> str:
    """Lets a page load what is listed, and send requests to the service itself and to who gives tokens; nothing else."""
    endpoint = (sign_in() or {}).get("token_endpoint") or ""
    issuer = f" {'/'.join(endpoint.split('/')[:3])}" if endpoint.startswith("https://") else ""
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src {images}; connect-src 'self'{issuer}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def index() -> dict[str, object]:
    """As the model Index says. Every path of the API that takes no parameter is a link: `orders`, `summary`, `docs`."""
    contract = deployed_contract()
    paths = [path for path in contract["paths"] if path.startswith("/api/") and path != "/api/" and "{" not in path]
    scopes = contract["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]["scopes"]
    known = sign_in()
    return {
        "name": contract["info"]["title"],
        "version": contract["info"]["version"],
        "stage": os.environ["STAGE"],
        "links": {Path(path).stem: path for path in paths},
        "sign_in": known and {**known, "scopes": list(scopes)},
    }


class Assets:
    """The files below a folder, at addresses that name their version.

    One version for all of them, so that modules can import each other by relative paths.
    """

    def __init__(self, python_file: str, folder: str, root: str) -> None:
        """folder: beside a Python file. root: the path of the addresses."""
        place = Path(python_file).parent / folder
        files = [file for file in sorted(place.rglob("*")) if file.suffix in TYPES]
        self.texts = {file.relative_to(place).as_posix(): file.read_text("utf-8") for file in files}
        self.version = sha256(json.dumps(self.texts).encode()).hexdigest()[:16]
        self.root = root

    def path(self, name: str) -> str:
        return f"{self.root}/{self.version}/{name}"

    def response(self, request: Request, version: str, name: str, headers: dict[str, str] | None = None) -> Response:
        """While a release shifts traffic, a page of one release asks the other for its files: such an answer is not kept."""
        if name not in self.texts:
            raise Problem(404, "There is no such file.")
        kept = FOREVER if version == self.version else {}
        headers = {"Vary": "Accept-Encoding", **kept, **(headers or {})}
        return file_response(request, TYPES[Path(name).suffix], self.texts[name], headers)


def _operations(contract: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in contract["paths"].values() for operation in item.values()]
