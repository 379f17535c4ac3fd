"""POST /api/webhooks/{webhook_id}/replay/"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import invalid
from orders.webhooks import refusal
from orders.writes import create

if TYPE_CHECKING:
    from orders.parameters import Id, IdempotencyKey
    from orders.requests import Request
    from orders.responses import Response
    from orders.webhook_models import Replay

app = Api()
REPLAY = database.load_sql(__file__, "replay_webhook.sql")
MOST_AT_ONCE = 10_000


@app.endpoint(
    "POST",
    "/api/webhooks/{webhook_id}/replay",
    scopes=["webhooks/write"],
    returns={202: "Replayed"},
    problems=[404, 409],
    tag="Webhooks",
)
def replay_webhook(request: Request, webhook_id: Id, replay: Replay, idempotency_key: IdempotencyKey = None) -> Response:
    """Deliver again what failed or was cancelled of the events since a time.

    At most 10,000 at once, the oldest first; `remaining` says whether there are more.
    """
    replayed = create(
        request,
        REPLAY,
        replay,
        idempotency_key,
        status=202,
        webhook_id=webhook_id,
        since=_in_utc(replay["since"]),
        most=MOST_AT_ONCE,
    )
    if replayed is None:
        raise refusal(webhook_id)
    return replayed


def _in_utc(time: str) -> str:
    """PostgreSQL takes no offsets of 16 hours and more, which RFC 3339 allows, and no leap seconds but at midnight."""
    try:
        return datetime.fromisoformat(time.upper()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise invalid("since", "must be a time between the years 1 and 9999") from None


handler = app.handler
