"""What several endpoints of webhooks have in common."""

import base64
import secrets

from orders import database, targets
from orders.errors import Problem, invalid, not_found

SECRET_BYTES = 32
CURRENT_ETAG = "SELECT etag FROM webhook_documents WHERE id = :webhook_id"


def check_url(url: str) -> None:
    try:
        targets.parse(url)
    except targets.BadTarget as reason:
        raise invalid("url", str(reason)) from None


def new_secret() -> tuple[bytes, str]:
    """A secret, and how it is shown."""
    key = secrets.token_bytes(SECRET_BYTES)
    return key, f"whsec_{base64.b64encode(key).decode()}"


def exists(webhook_id: int) -> bool:
    return bool(database.run(CURRENT_ETAG, repeatable=True, webhook_id=webhook_id))


def changed_or_gone(webhook_id: int) -> Problem:
    """Why a change was not made."""
    if current := database.run(CURRENT_ETAG, repeatable=True, webhook_id=webhook_id):
        return Problem(412, f"The webhook's ETag is {current[0][0]} now.")
    return not_found("webhook", webhook_id)


def refusal(webhook_id: int) -> Problem:
    """Why nothing was sent."""
    if exists(webhook_id):
        return Problem(409, "The webhook is disabled; enable it first.")
    return not_found("webhook", webhook_id)
