"""GET /api/health/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, document
from orders.models import Health

app = Api()


@app.endpoint("GET", "/api/health", scopes=[], returns={200: Health}, tag="Service")
def get_health() -> Response[str]:
    """Tell whether the service and its database answer."""
    database.run("SELECT 1", repeatable=True)
    return document('{"status": "ok"}')


handler = app.handler
