"""moto's SQS, for queues with hundreds of messages.

Of itself it looks at all of them a dozen times for each one that it hands out, by a clock that makes dates, and it loses what
is sent while another message is being deleted.
"""

import time
from typing import Any

from moto.sqs import models

delete_message = models.Queue.delete_message


def mend() -> None:
    """Any number of times."""
    models.unix_time_millis = _milliseconds  # type: ignore[attr-defined,assignment]
    models.SQSBackend.is_message_valid_based_on_retention_period = _is_kept  # type: ignore[method-assign,assignment]
    models.Queue.delete_message = _delete  # type: ignore[method-assign,assignment]


def _milliseconds() -> float:
    return time.time() * 1000


def _is_kept(backend: Any, queue_name: str, message: Any) -> bool:
    kept_seconds: int = backend.get_queue(queue_name).message_retention_period
    return bool(message.sent_timestamp / 1000 + kept_seconds > time.time())


def _delete(queue: Any, receipt_handle: str) -> None:
    with queue._messages_lock:
        delete_message(queue, receipt_handle)
