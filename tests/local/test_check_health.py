"""The health check from outside, against real sockets: what counts as an answer and what does not."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from contract.functions import load_functions
from contract.openapi import load_handler
from tests.harness import LambdaContext

WELL = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "ok"}'


@contextmanager
def answering(raw: bytes | None) -> Iterator[str]:
    """The URL of a server that answers one request with these bytes; None: a URL that nobody listens at."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    if raw is None:
        listening.close()
        yield url
        return

    def answer() -> None:
        connection, _ = listening.accept()
        request = connection.recv(65536)
        assert request.startswith(b"GET /api/health/ HTTP/1.1")
        connection.sendall(raw)
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    yield url
    thread.join()
    listening.close()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (WELL, True),
        (WELL.replace(b"200 OK", b"503 Service Unavailable"), False),
        (WELL.replace(b"200 OK", b"429 Too Many Requests"), False),
        (WELL.replace(b'"ok"', b'"??"'), False),
        (WELL.replace(b"{", b"<"), False),
        (b"", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (None, False),
    ],
)
def test_only_the_services_own_answer_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raw: bytes | None, expected: bool
) -> None:
    with answering(raw) as url:
        monkeypatch.setenv("PUBLIC_URL", url)
        result = load_handler("check_health").handler({}, LambdaContext(15))
    assert result == {"answered": expected}
    [metric] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert metric["HealthAnswered"] == [int(expected)]


def test_it_waits_for_an_answer_for_less_time_than_it_may_run() -> None:
    [function] = [function for function in load_functions() if function.name == "check_health"]
    assert function.timeout_seconds > load_handler("check_health").PATIENCE_SECONDS
