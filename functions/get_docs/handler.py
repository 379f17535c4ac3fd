"""GET /api/openapi.json and GET /api/docs/"""

from __future__ import annotations

import gzip
import json
import os
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from orders.api import Api
from orders.operations import openapi
from orders.requests import JSON
from orders.responses import response

if TYPE_CHECKING:
    from orders.requests import Request
    from orders.responses import Response

app = Api()
# Found without importing Powertools, which would take longer than the rest of the response.
[POWERTOOLS] = find_spec("aws_lambda_powertools").submodule_search_locations  # type: ignore[union-attr,misc]  # it is there
SWAGGER_UI = Path(POWERTOOLS) / "event_handler" / "openapi" / "swagger_ui"
SEEDING = "/api/dev/"
CACHE = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"}
START = """
SwaggerUIBundle({url: "/api/openapi.json", dom_id: "#swagger-ui", tryItOutEnabled: true, persistAuthorization: true});
"""


@app.endpoint("GET", "/api/docs", scopes=[], returns={200: "text/html"}, tag="Service")
def get_docs(request: Request) -> Response:
    """Interactive documentation, in a single self-contained page."""
    page, policy = _page()
    headers = {**CACHE, "Content-Security-Policy": policy}
    return _encoded(request, "text/html; charset=utf-8", page, headers)


@app.endpoint("GET", "/api/openapi.json", scopes=[], returns={200: JSON}, tag="Service", operation_id="get_docs.openapi")
def get_openapi(request: Request) -> Response:
    """This contract as OpenAPI."""
    return _encoded(request, JSON, _contract(), CACHE)


def _encoded(request: Request, content_type: str, body: str, headers: dict[str, str]) -> Response:
    if not request.accepts_gzip:
        return response(200, content_type, body, headers)
    return {
        **response(200, content_type, _compressed(body), {**headers, "Content-Encoding": "gzip"}),
        "isBase64Encoded": True,
    }


@cache
def _compressed(body: str) -> str:
    return b64encode(gzip.compress(body.encode(), mtime=0)).decode()


@cache
def _contract() -> str:
    """What this stage deploys: production has no seeding."""
    contract = json.loads(openapi())
    if os.environ["STAGE"] == "prod":
        contract["paths"] = {path: item for path, item in contract["paths"].items() if not path.startswith(SEEDING)}
    return json.dumps(contract, indent=2)


@cache
def _page() -> tuple[str, str]:
    """The page, and a policy that allows nothing but the page's own scripts, styles and requests."""
    title = json.loads(openapi())["info"]["title"]
    style, script = (
        SWAGGER_UI.joinpath(name).read_text("utf-8") for name in ("swagger-ui.min.css", "swagger-ui-bundle.min.js")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)} {_hash(START)}; style-src {_hash(style)}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="swagger-ui"></div>
<script>{script}</script>
<script>{START}</script>
</body>
</html>
"""
    return page, policy


def _hash(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"


handler = app.handler
