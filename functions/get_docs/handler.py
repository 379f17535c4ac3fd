"""GET /api/openapi.json and GET /api/docs/"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from orders.api import Api
from orders.pages import content_policy, deployed_contract, file_response, sign_in, source_of
from orders.requests import JSON

if TYPE_CHECKING:
    from orders.requests import Request
    from orders.responses import Response

app = Api()
# Found without importing Powertools, which would take longer than the rest of the response.
[POWERTOOLS] = find_spec("aws_lambda_powertools").submodule_search_locations  # type: ignore[union-attr,misc]  # it is there
SWAGGER_UI = Path(POWERTOOLS) / "event_handler" / "openapi" / "swagger_ui"
CACHE = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"}
# It fills in examples; a call with all of them, down to somebody's cursor, finds nothing. Those of a path are needed.
START = """
const spec = await (await fetch("/api/openapi.json")).json();
for (const operation of Object.values(spec.paths).flatMap(Object.values))
  for (const parameter of operation.parameters ?? [])
    if (!parameter.required) delete parameter.example;
const ui = SwaggerUIBundle({
  spec, dom_id: "#swagger-ui", tryItOutEnabled: true, oauth2RedirectUrl: location.origin + "/console/signed-in",
});
"""


@app.endpoint("GET", "/api/docs", scopes=[], returns={200: "text/html"}, tag="Pages")
def get_docs(request: Request) -> Response:
    """Show interactive documentation, in a single self-contained page.

    For people: it shows every operation of this contract and can call it.
    """
    page, policy = _page()
    headers = {**CACHE, "Content-Security-Policy": policy}
    return file_response(request, "text/html; charset=utf-8", page, headers)


@app.endpoint("GET", "/api/openapi.json", scopes=[], returns={200: JSON}, tag="Service")
def get_openapi(request: Request) -> Response:
    """Get this contract as OpenAPI.

    OpenAPI 3.1, for generators of clients and for agents. It describes what this stage has: production has no seeding.
    """
    return file_response(request, JSON, _contract(), CACHE)


@cache
def _contract() -> str:
    return json.dumps(deployed_contract(), indent=2)


@cache
def _page() -> tuple[str, str]:
    """The page, and a policy that allows nothing but the page's own scripts, styles and requests."""
    title = deployed_contract()["info"]["title"]
    style, script = (
        SWAGGER_UI.joinpath(name).read_text("utf-8") for name in ("swagger-ui.min.css", "swagger-ui-bundle.min.js")
    )
    # Nobody has a secret to type in: the flow for people proves by its code verifier that one page asked and got the answer.
    client = {"clientId": (sign_in() or {}).get("client_id") or "", "usePkceWithAuthorizationCodeGrant": True}
    start = f"{START}ui.initOAuth({json.dumps(client)});\n"
    policy = content_policy(f"{source_of(script)} {source_of(start)}", source_of(style), "'self' data:")
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
<script type="module">{start}</script>
</body>
</html>
"""
    return page, policy


handler = app.handler
