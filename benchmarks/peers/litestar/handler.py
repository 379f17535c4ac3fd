"""What Lambda calls."""

from app import app
from mangum import Mangum

# Mangum would start and end the application's lifespan around each request.
handler = Mangum(app, lifespan="off")
