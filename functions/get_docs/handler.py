"""GET /api/openapi.json and GET /api/docs/"""

import json
import os
from functools import cache
from pathlib import Path

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi import swagger_ui

from orders.api import JSON, Api

app = Api()
OPENAPI = Path(__file__).with_name("openapi.json")
SWAGGER_UI = Path(str(swagger_ui.__file__)).parent
SEEDING = "/api/dev/"
CACHE = {"Cache-Control": "public, max-age=300"}


@app.endpoint("GET", "/api/docs", scopes=[], returns={200: "text/html"}, tag="Service")
def get_docs() -> Response[str]:
    """Interactive documentation: a page with everything it needs in it."""
    return Response(200, "text/html; charset=utf-8", _page(), CACHE, compress=True)


@app.endpoint("GET", "/api/openapi.json", scopes=[], returns={200: JSON}, tag="Service", operation_id="get_docs.openapi")
def get_openapi() -> Response[str]:
    """This contract as OpenAPI."""
    return Response(200, JSON, _contract(), CACHE, compress=True)


@cache
def _contract() -> str:
    """What is deployed in this stage: seeding is not, in production."""
    contract = json.loads(OPENAPI.read_text(encoding="utf-8"))
    if os.environ["STAGE"] == "prod":
        contract["paths"] = {path: item for path, item in contract["paths"].items() if not path.startswith(SEEDING)}
    return json.dumps(contract, indent=2)


@cache
def _page() -> str:
    title = json.loads(OPENAPI.read_text(encoding="utf-8"))["info"]["title"]
    style, script = (
        SWAGGER_UI.joinpath(name).read_text("utf-8") for name in ("swagger-ui.min.css", "swagger-ui-bundle.min.js")
    )
    return f"""<!DOCTYPE html>
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
<script>
SwaggerUIBundle({{url: "/api/openapi.json", dom_id: "#swagger-ui", tryItOutEnabled: true, persistAuthorization: true}});
</script>
</body>
</html>
"""


handler = app.handler
