"""The gateway's web server: uvicorn, with time limits for slow clients."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# How long a client may take to send a whole request, and how long it may stop reading an answer.
CLIENT_SECONDS = 30


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that ends the connection of a client that is too slow; uvicorn itself waits forever."""

    request_due: asyncio.TimerHandle | None = None
    reading_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.reading_due = self.loop.call_later(CLIENT_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.reading_due is not None:
            self.reading_due.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for due in (self.request_due, self.reading_due):
            if due is not None:
                due.cancel()

    def _await_request(self) -> None:
        """The time runs from the start of the connection or the previous answer until the whole request has arrived."""
        working = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        if working and self.request_due is not None:
            self.request_due.cancel()
            self.request_due = None
        elif not working and self.request_due is None:
            self.request_due = self.loop.call_later(CLIENT_SECONDS, self.transport.abort)


def web_server(application: Any) -> uvicorn.Server:
    """For an ASGI application that only speaks HTTP."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http=ImpatientProtocol,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
        )
    )
