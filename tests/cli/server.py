"""A small HTTP server that answers as a test says, and remembers what it was asked."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

# Status, body (a text as it is, anything else as JSON), and headers.
Reply = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
# A function makes the reply of a request; "hang up" ends the connection without any.
Script = Reply | str | Callable[["Asked"], Reply | str]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


class SmallServer:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        self.scripts: dict[tuple[str, str], list[Script]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def _answer(self) -> None:
                server.handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the standard library

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def answer(self, method: str, path: str, *scripts: Script) -> None:
        """One script per request; the last one stays."""
        self.scripts[method, path] = list(scripts)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(handler.command, parts.path, dict(parse_qsl(parts.query)), headers, body, time.monotonic())
        self.requests.append(asked)
        scripts = self.scripts.get((asked.method, asked.path), [(404, {"message": "Not Found"})])
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        reply = script(asked) if callable(script) else script
        if isinstance(reply, str):
            handler.close_connection = True
            return
        status, content, more = (*reply, {})[:3]
        data = (
            content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
        )
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **more}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
