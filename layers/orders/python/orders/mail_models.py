"""The shapes of mails. Used as models.py is."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from orders.models import BigId, Count

MailType = Literal["order.created", "order.paid", "order.shipped", "order.delivered", "order.cancelled"]
MailStatus = Literal["queued", "sent", "bounced", "complained", "suppressed", "failed"]


class Mail(BaseModel):
    """`type`: that of the event that it tells of.

    `suppressed`: not sent, because mail to the address has bounced before, or its reader has complained.
    """

    id: BigId
    event_id: BigId
    type: MailType
    status: MailStatus
    attempts: Count
    message_id: str | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class MailPage(BaseModel):
    results: list[Mail]
    next: str | None
    next_cursor: str | None
