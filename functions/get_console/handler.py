"""GET / and what its page loads: the console for people, and the links for programs."""

from __future__ import annotations

import json
import os
from functools import cache
from hashlib import sha256
from string import Template
from typing import TYPE_CHECKING

from orders.api import Api
from orders.files import read_beside
from orders.pages import Assets, content_policy, deployed_contract, file_response, index, source_of
from orders.requests import JSON
from orders.responses import etags, response

if TYPE_CHECKING:
    from orders.parameters import AssetFile, AssetFolder, AssetVersion
    from orders.requests import Request
    from orders.responses import Response

app = Api()
ASSETS = Assets(__file__, "assets", "/console")
HTML = "text/html; charset=utf-8"
# Asked for again each time, so that a release is seen at once; the answer is mostly that nothing has changed.
ASK_AGAIN = {"Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"}
# What modules name instead of a file, as they do in npm's packages.
PACKAGES = {"preact": "vendor/preact.js", "preact/hooks": "vendor/hooks.js", "htm": "vendor/htm.js"}
# What every view needs; a browser would learn of each only from the one before.
PRELOADED = [
    *PACKAGES.values(),
    *("html.js", "settings.js", "session.js", "api.js", "format.js", "parts.js", "typed.js", "app.js"),
]


@app.endpoint("GET", "/", scopes=[], returns={200: "Index, text/html"}, tag="Pages")
def get_console(request: Request) -> Response:
    """Show the console to browsers, and the service's links to programs.

    A client that accepts `text/html` gets the page, any other the JSON.
    """
    if "text/html" not in request.headers.get("accept", ""):
        return get_index(request)
    page, policy = _page("console.html")
    headers = {**ASK_AGAIN, "ETag": f'"{sha256(page.encode()).hexdigest()[:16]}"', "Content-Security-Policy": policy}
    if headers["ETag"] in etags(request.headers.get("if-none-match", ""), weak=True):
        return response(304, None, "", headers)
    return file_response(request, HTML, page, headers)


@app.endpoint("GET", "/api", scopes=[], returns={200: "Index"}, tag="Service")
def get_index(request: Request) -> Response:
    """Get the service's name, version, stage and links, and where to sign in.

    A link is a path; each endpoint that can be called without an id has one. `sign_in` is null where no token is required.
    """
    return file_response(request, JSON, json.dumps(index(), separators=(",", ":")), ASK_AGAIN)


@app.endpoint("GET", "/console/signed-in", scopes=[], returns={200: "text/html"}, tag="Pages", any_query=True)
def get_signed_in(request: Request) -> Response:
    """Take the answer of a sign-in on the console or the documentation page.

    What the issuer says is for the script of the page.
    """
    page, policy = _page("signed-in.html")
    return file_response(request, HTML, page, {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})


@app.endpoint(
    "GET",
    "/console/{version}/{name}",
    scopes=[],
    returns={200: "text/css, text/javascript, image/svg+xml"},
    problems=[404],
    tag="Pages",
)
def get_file(request: Request, version: AssetVersion, name: AssetFile) -> Response:
    """Get a file of the console."""
    return ASSETS.response(request, version, name)


@app.endpoint(
    "GET",
    "/console/{version}/{name}/{file}",
    scopes=[],
    returns={200: "text/javascript"},
    problems=[404],
    tag="Pages",
)
def get_module(request: Request, version: AssetVersion, name: AssetFolder, file: AssetFile) -> Response:
    """Get a view or a library of the console."""
    # A folder here, and a file in the route above: API Gateway gives each place of a path one name.
    return ASSETS.response(request, version, f"{name}/{file}")


@app.endpoint("GET", "/favicon.ico", scopes=[], returns={200: "image/svg+xml"}, tag="Pages")
def get_icon(request: Request) -> Response:
    """Get the console's icon."""
    return ASSETS.response(request, "any", "icon.svg", {"Cache-Control": "public, max-age=86400"})


@cache
def _page(name: str) -> tuple[str, str]:
    """A page, with what its scripts need to know in it, and a policy that lets in only the service's own files."""
    imports = json.dumps({"imports": {package: ASSETS.path(file) for package, file in PACKAGES.items()}})
    filters = [field["name"] for field in deployed_contract()["paths"]["/api/orders/"]["get"]["parameters"]]
    more = {"order_filters": filters, "mails": os.environ.get("MAILS_PATH")}
    page = Template(read_beside(__file__, name)).substitute(
        root=ASSETS.path(""),
        imports=imports,
        preloads="\n".join(f'<link rel="modulepreload" href="{ASSETS.path(file)}">' for file in PRELOADED),
        settings=json.dumps({**index(), **more}).replace("<", r"\u003c"),
    )
    policy = content_policy(f"'self' {source_of(imports)}", "'self'")
    # Names and addresses that customers chose never become markup: nothing may.
    return page, f"{policy}; require-trusted-types-for 'script'; trusted-types 'none'"


handler = app.handler
