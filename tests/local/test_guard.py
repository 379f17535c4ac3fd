"""Pages in a browser on this machine: the laptop cloud refuses their requests unless they belong to it."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.functions import Function, Queue
from local.__main__ import settings
from local.cloud import CannotStart, Settings
from local.console import Console
from local.events import HttpRequest
from local.gateway import Gateway
from local.guard import LOOPBACK_ORIGINS, Guard
from local.sqs import QueueServer

GUARD = Guard.of_port(8000, ["laptop.example.com", "localhost:9000"], [*LOOPBACK_ORIGINS, "https://shop.example.com"])


def refused(method: str = "POST", host: str | None = "localhost:8000", guard: Guard = GUARD, **headers: Any) -> bool:
    given = {name.replace("_", "-"): value for name, value in headers.items()} | ({"host": host} if host else {})
    return guard.refusal(method, given.get) is not None


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "LocalHost:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "laptop.example.com",
        "laptop.example.com:443",
        "localhost:9000",
    ],
)
def test_a_program_that_names_the_server_is_served(host: str) -> None:
    assert not refused(host=host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example.com",
        "evil.example.com:8000",
        "localhost",
        "localhost:80",
        "localhost.evil.example.com:8000",
        "localhost:8000.evil.example.com",
        "127.0.0.1.evil.example.com:8000",
        "127.0.0.2:8000",
        "localhost:8000,evil.example.com",
    ],
)
def test_a_foreign_name_is_refused_although_it_leads_here(host: str | None) -> None:
    """DNS rebinding: to the browser, page and server have the same origin; only the name gives it away."""
    assert refused("GET", host)
    assert refused("GET", host, origin=f"http://{host}", sec_fetch_site="same-origin")


def test_a_browser_on_port_80_names_no_port() -> None:
    assert not refused(guard=Guard.of_port(80), host="localhost")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8000",
        "http://localhost:5173",
        "http://127.0.0.1:3000",
        "http://[::1]:1",
        "http://localhost",
        "https://shop.example.com",
    ],
)
def test_a_page_of_the_server_or_of_an_allowed_origin_is_served(origin: str) -> None:
    assert not refused(origin=origin, sec_fetch_site="cross-site")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example.com",
        "http://shop.example.com",
        "https://shop.example.com:8443",
        "http://localhost.evil.example.com",
        "http://localhost:8000.evil.example.com",
        "http://evil.example.com:8000",
        "file://",
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert refused(origin=origin)
    assert refused("GET", origin=origin, sec_fetch_site="same-origin")


def test_a_server_without_allowed_origins_serves_its_own_pages_only() -> None:
    bare = Guard.of_port(8000)
    assert not refused(guard=bare, origin="http://localhost:8000")
    assert refused(guard=bare, origin="http://localhost:5173")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_foreign_page_embeds_is_refused_but_a_link_that_somebody_follows_is_not(site: str) -> None:
    """Neither has an Origin: browsers omit it when the method is GET and the answer is not read."""
    for mode, target in (("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe"), ("cors", "empty")):
        assert refused("GET", sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=target)
    link: dict[str, Any] = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert not refused("GET", **link)
    assert refused("POST", **link)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_requests_of_the_documentation_page_and_the_address_bar_are_served(site: str) -> None:
    assert not refused("GET", sec_fetch_site=site, sec_fetch_mode="cors", sec_fetch_dest="empty")


def test_the_gateway_says_forbidden_and_the_terminal_why() -> None:
    screen = io.StringIO()
    gateway = Gateway(Console(screen), None, GUARD)
    answer = asyncio.run(gateway.answer(HttpRequest("GET", "/x", "", [("host", "evil\x1b.example.com")]), "r"))
    assert (answer.status, answer.body) == (403, b'{"message":"Forbidden"}')
    assert "'evil\\x1b.example.com'" in screen.getvalue()


@pytest.fixture
def queue() -> Iterator[QueueServer]:
    worker = Function(name="w", folder=Path(), routes=(), trigger="queue", queue=Queue("work", batch_size=1, max_receives=3))
    server = QueueServer([worker])
    yield server
    server.client.delete_queue(QueueUrl=server.urls["work"])
    server.client.delete_queue(QueueUrl=server.dead_letter_urls["work"])
    server.stop()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.com"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "http://localhost:5173"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    ],
)
def test_no_page_reaches_the_queues_server(queue: QueueServer, headers: dict[str, str]) -> None:
    form = {"Action": "SendMessage", "QueueUrl": queue.urls["work"], "MessageBody": '{"run": "x"}'}
    answer = httpx.post(queue.urls["work"], data=form, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert httpx.get(f"{queue.endpoint}/moto-api/data.json", headers=headers).status_code == 403
    attributes = queue.client.get_queue_attributes(QueueUrl=queue.urls["work"], AttributeNames=["ApproximateNumberOfMessages"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_pages_of_this_machine_may_call_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(**variables: str) -> Settings:
        for name in ("CORS_ORIGINS", "ALLOWED_HOSTS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return settings()

    assert (of().cors_origins, of().allowed_hosts) == (LOOPBACK_ORIGINS, ())
    assert of(CORS_ORIGINS="").cors_origins == ()
    assert of(CORS_ORIGINS="https://A.example.com, http://localhost:*").cors_origins == (
        "https://a.example.com",
        "http://localhost:*",
    )
    assert of(ALLOWED_HOSTS="Laptop.example.com,[::1]:9000").allowed_hosts == ("laptop.example.com", "[::1]:9000")
    wrong: list[dict[str, Any]] = [
        {"CORS_ORIGINS": "*"},
        {"CORS_ORIGINS": "https://a.example.com/"},
        {"CORS_ORIGINS": "a.example.com"},
        {"ALLOWED_HOSTS": "https://a.example.com"},
        {"ALLOWED_HOSTS": "*"},
    ]
    for variables in wrong:
        with pytest.raises(CannotStart, match=next(iter(variables))):
            of(**variables)
