"""What the endpoints of exports share: which kinds there are, who may read them, and links to files."""

import hashlib
import json
import os
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from orders.errors import Problem
from orders.iam import signature
from orders.requests import Request

LINK_SECONDS = 600


class Kind(NamedTuple):
    """scope: of the list. filters: the list's own."""

    scope: str
    filters: tuple[str, ...]


KINDS = {
    "orders": Kind("orders/read", ("status", "email", "customer_id", "reference")),
    "items": Kind("orders/read", ("status", "email", "customer_id", "reference")),
    "customers": Kind("customers/read", ("email",)),
    "summary": Kind("orders/read", ()),
    "events": Kind("events/read", ("type", "order_id", "customer_id")),
}


def readable_kinds(request: Request) -> list[str]:
    """Of what the token may read the list. The gateway lets any one scope of a route suffice; this is the second."""
    scopes = request.token_scopes
    return [name for name, kind in KINDS.items() if scopes is None or kind.scope in scopes]


def refuse_unless_readable(request: Request, kind: str) -> None:
    if kind not in readable_kinds(request):
        raise Problem(403, f"Exports of {kind} also need the scope {KINDS[kind].scope}.")


def with_link(document: str, key: str, kind: str) -> str:
    """The document of a finished export, whose last field is `url`, with a link to its file."""
    suffix = key.partition(".")[2]
    now = datetime.now(UTC)
    link = presigned_link(os.environ["EXPORTS_BUCKET"], key, f"{kind}-{now:%Y-%m-%d}.{suffix}", now)
    return document.removesuffix("null}") + json.dumps(link) + "}"


def presigned_link(bucket: str, key: str, file_name: str, now: datetime) -> str:
    """What boto3's `generate_presigned_url` makes for GetObject, without importing boto3."""
    region, day, moment = os.environ["AWS_REGION"], now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    endpoint, path = f"https://{bucket}.s3.{region}.amazonaws.com", f"/{quote(key)}"
    if local := os.environ.get("AWS_ENDPOINT_URL_S3"):
        endpoint, path = local, f"/{bucket}{path}"
    scope = f"{day}/{region}/s3/aws4_request"
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(LINK_SECONDS),
        "X-Amz-SignedHeaders": "host",
        "response-content-disposition": f'attachment; filename="{file_name}"',
    }
    if session_token := os.environ.get("AWS_SESSION_TOKEN"):
        parameters["X-Amz-Security-Token"] = session_token
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(parameters.items()))
    host = endpoint.partition("://")[2]
    request = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return f"{endpoint}{path}?{query}&X-Amz-Signature={signature(day, region, 's3', to_sign)}"
