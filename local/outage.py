"""What of the laptop's AWS refuses, for trying out what becomes of the service then: a file says it, until it is removed.

`touch .local/refusing/s3` (or sqs, or ses)
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from local.mail import Application

# The service is named where a request is signed: in its header, or in the query of a link.
SIGNED_FOR = re.compile(r"(?:/|%2F)(\w+)(?:/|%2F)aws4_request")


class Outage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def around(self, application: Application) -> Application:
        """moto's application, which answers 503 for what is refusing."""

        def answering(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            signed = SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION") or environ.get("QUERY_STRING") or "")
            if signed and (self.folder / signed[1]).exists():
                start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Content-Length", "0")])
                return []
            return application(environ, start_response)

        return answering
