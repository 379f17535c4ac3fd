"""What openapi.json says beyond the handlers' own declarations."""

from typing import Any

# In the order in which the documentation shows them.
TAGS = {
    "Orders": "From the first item to delivery or cancellation, with their history and what each customer has spent.",
    "Order items": "The lines of an order, which can change while it is pending.",
    "Customers": "Who orders. An e-mail address belongs to one customer.",
    "Events": "Everything that has happened to orders and customers, in order.",
    "Webhooks": "Events sent to a URL of yours, signed, and sent again until it accepts them.",
    "Exports": "Whole lists as files.",
    "Seeding": "Realistic data by the million, for development. Production has none of this.",
    "Service": "About the service itself; open to everyone.",
    "Pages": "The console and the documentation, for people; programs need none of these.",
}
# What API Gateway itself answers, with its own texts.
GATEWAY = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
}
DESCRIPTIONS = {
    401: "There is no valid token. API Gateway answers.",
    403: "The token has none of the operation's scopes. API Gateway answers.",
    429: "Too many requests at once. API Gateway answers; wait and try again.",
}
GATEWAY_MESSAGE = {
    "description": "How API Gateway itself refuses a request.",
    "type": "object",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
}
MOST_INT32 = 2**31 - 1
HEADERS: dict[str, dict[str, Any]] = {
    "Cache-Control": {"description": "Whether the answer may be kept, and for how long.", "example": "no-store"},
    "ETag": {
        "description": "The state of the document, for `If-Match` and `If-None-Match`.",
        "example": '"8e5b2c6f1a7d4903"',
    },
    "Idempotency-Replayed": {
        "description": "`true` if this is the first answer again and nothing was done.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
    "Location": {"description": "The path of what was created.", "example": "/api/orders/1/"},
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MOST_INT32, "format": "int32"},
        "example": 1,
    },
    "WWW-Authenticate": {"description": "What the token lacks (RFC 6750).", "example": "Bearer"},
}
