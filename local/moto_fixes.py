"""What keeps moto, which is made for short tests, from running for days with hundreds of messages in a queue.

Of itself it remembers every message, mail and file that there ever was, and each copy of one. For each message that it hands
out it looks at all others a dozen times, by a clock that makes dates, and it loses what is sent while one is being deleted.
For each request it lists the folders of its own package, to see which service is meant, and spells the same names anew.
"""

import time
from functools import cache
from typing import Any

from moto.core import responses
from moto.core.common_models import BaseModel
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs import models

delete_message = models.Queue.delete_message
get_backend_for_host = DomainDispatcherApplication.get_backend_for_host


def apply() -> None:
    """Any number of times."""
    BaseModel.__new__ = _unremembered  # type: ignore[method-assign]
    models.unix_time_millis = _milliseconds  # type: ignore[attr-defined,assignment]
    models.SQSBackend.is_message_valid_based_on_retention_period = _is_kept  # type: ignore[method-assign,assignment]
    models.Queue.delete_message = _delete  # type: ignore[method-assign,assignment]
    DomainDispatcherApplication.get_backend_for_host = _backend  # type: ignore[method-assign]
    models.camelcase_to_underscores = responses.camelcase_to_underscores = _spelt  # type: ignore[attr-defined]
    responses.method_names_from_class = _methods  # type: ignore[attr-defined]


_backend = cache(get_backend_for_host)
_spelt = cache(camelcase_to_underscores)
_methods = cache(method_names_from_class)


def _unremembered(cls: Any, *_: Any, **__: Any) -> Any:
    return object.__new__(cls)


def _milliseconds() -> float:
    return time.time() * 1000


def _is_kept(backend: Any, queue_name: str, message: Any) -> bool:
    kept_seconds: int = backend.get_queue(queue_name).message_retention_period
    return bool(message.sent_timestamp / 1000 + kept_seconds > time.time())


def _delete(queue: Any, receipt_handle: str) -> None:
    with queue._messages_lock:
        delete_message(queue, receipt_handle)
