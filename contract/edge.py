"""What both API Gateways, the one on AWS (cdk/) and the one on the laptop (local/), let a browser of another origin do."""

CORS_METHODS = ("GET", "POST", "PATCH", "DELETE", "OPTIONS")
CORS_HEADERS = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSED = ("etag", "location", "idempotency-replayed", "retry-after")
CORS_MAX_AGE_SECONDS = 300
