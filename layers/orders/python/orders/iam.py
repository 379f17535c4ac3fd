"""The password of a database user that logs in by IAM."""

import hashlib
import hmac
import os
from datetime import datetime
from urllib.parse import quote

TOKEN_SECONDS = 900


def iam_token(host: str, port: int, user: str, region: str, now: datetime) -> str:
    """The password of an IAM database user: a presigned URL, valid for 15 minutes, made without any call.

    What boto3's `generate_db_auth_token` makes, without importing boto3, which costs more than the rest of a cold start.
    """
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{region}/rds-db/aws4_request"
    parameters = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(TOKEN_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if session_token := os.environ.get("AWS_SESSION_TOKEN"):
        parameters["X-Amz-Security-Token"] = session_token
    query = "&".join(f"{key}={quote(value, safe='-_.~')}" for key, value in sorted(parameters.items()))
    empty_payload = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{query}\nhost:{host}:{port}\n\nhost\n{empty_payload}"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return f"{host}:{port}/?{query}&X-Amz-Signature={signature(day, region, 'rds-db', to_sign)}"


def signature(day: str, region: str, service: str, to_sign: str) -> str:
    """AWS's Signature Version 4 of a text, by the credentials of the function's role."""
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (day, region, service, "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
