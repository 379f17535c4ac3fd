"""Clients that break off or dawdle, over real sockets."""

import asyncio
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.functions import Function, Route
from drill.servers import wait_until
from local import web
from local.cloud import listen
from local.console import Console
from local.gateway import Gateway
from local.guard import Guard
from local.runtime import FunctionPool, Result

LARGE = 5_000_000
WAIT_SECONDS = 30


class RecordingFunction(FunctionPool):
    """A function in this process: the bodies that it received, and a large answer."""

    def __init__(self) -> None:
        function = Function(name="f", folder=Path(), routes=(Route("POST", "/things", ()), Route("GET", "/things", ())))
        super().__init__(function, lambda _: pytest.fail("no process is needed"), Console(io.StringIO()))
        self.bodies: list[str | None] = []

    async def invoke(self, event: Any) -> Result:
        self.bodies.append(event.get("body"))
        return Result(json.dumps({"statusCode": 200, "body": "x" * LARGE}).encode(), failed=False)


class Web:
    """The gateway's web server in a thread."""

    def __init__(self) -> None:
        self.function = RecordingFunction()
        self.listening = listen(0)
        self.port: int = self.listening.getsockname()[1]
        gateway = Gateway(Console(io.StringIO()), None, Guard.of_port(self.port))
        gateway.set_functions([self.function])
        self.server = web.web_server(gateway)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server._serve([self.listening])))
        self.thread.start()
        wait_until(lambda: self.server.started, "The server's start")

    def connect(self, text: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)
        client.sendall(text.replace("HOST", f"127.0.0.1:{self.port}").encode())
        return client

    def post(self, body: str) -> int:
        return httpx.post(f"http://127.0.0.1:{self.port}/things", content=body, timeout=WAIT_SECONDS).status_code

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


HEAD = "POST /things HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "request_text",
    [f"{HEAD}Content-Length: 50\r\n\r\n" + '{"a": 1}', f'{HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"a": 1}}\r\n'],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("half", [True, False], ids=["half-closed", "closed"])
def test_a_body_that_breaks_off_is_not_acted_on(server: Web, request_text: str, half: bool) -> None:
    with server.connect(request_text) as client:
        wait_until(lambda: server.connections == 1, "The connection")
        if half:
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1000) == b""
    wait_until(lambda: server.connections == 0, "The connection's end")
    assert server.post("whole") == 200
    assert server.function.bodies == ["whole"]


@pytest.mark.parametrize(
    "beginning",
    ["", "GET /things HTTP/1.1\r\nHost: HO", f"{HEAD}Content-Length: 5000\r\n\r\n"],
    ids=["silent", "in the head", "in the body"],
)
def test_many_slow_clients_hinder_nobody_and_are_disconnected(
    server: Web, monkeypatch: pytest.MonkeyPatch, beginning: str
) -> None:
    monkeypatch.setattr(web, "CLIENT_SECONDS", 1)
    clients = [server.connect(beginning) for _ in range(150)]
    try:
        assert server.post("meanwhile") == 200
        wait_until(lambda: drip(clients if beginning else []) and server.connections == 0, "The end of the slow ones")
        for client in clients:
            with suppress(ConnectionResetError):
                assert client.recv(1000) == b""
    finally:
        for client in clients:
            client.close()
    assert server.function.bodies == ["meanwhile"]


def drip(clients: list[socket.socket]) -> bool:
    """Sends one byte from each client that is still connected, which does not keep it connected."""
    for client in clients:
        with suppress(OSError):
            client.sendall(b"x")
    return True


@pytest.mark.parametrize("requests", [1, 3])
def test_a_client_that_does_not_read_its_answer_is_disconnected(
    server: Web, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    monkeypatch.setattr(web, "CLIENT_SECONDS", 1)
    with server.connect("GET /things HTTP/1.1\r\nHost: HOST\r\n\r\n" * requests) as client:
        wait_until(lambda: server.function.bodies != [], "The answer")
        wait_until(lambda: server.connections == 0, "The connection's end")
        received = 0
        with suppress(ConnectionResetError):
            while data := client.recv(65536):
                received += len(data)
        assert received < LARGE


def test_a_connection_serves_one_request_after_another(server: Web) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for number in range(3):
            assert client.post("/things", content=f"{number}").status_code == 200
        assert server.connections == 1
    assert server.function.bodies == ["0", "1", "2"]
