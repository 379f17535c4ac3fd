"""GET /api/health/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.responses import json_response

if TYPE_CHECKING:
    from orders.requests import Request
    from orders.responses import Response

app = Api()


@app.endpoint("GET", "/api/health", scopes=[], returns={200: "Health"}, tag="Service")
def get_health(request: Request) -> Response:
    """Report whether the service and its database respond.

    200 if the database answers a query, otherwise 503. No token is needed.
    """
    database.run("SELECT 1", repeatable=True)
    return json_response('{"status":"ok"}')


handler = app.handler
