"""What a command says and which exit code it has when it fails: refusals, faults on the way, and what is sent again."""

import base64
import contextlib
import os
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from drill.laptop import Laptop
from orders_cli.app import app
from orders_cli.client import Client
from orders_cli.errors import EXIT_CODES, Failure, Unavailable, Unreachable
from tests.cli.conftest import Shell
from tests.cli.server import Asked, Reply, SmallServer

REQUEST_ID = re.compile(r"^  request id: [\w-]{20,}$", re.MULTILINE)
CUSTOMER = {"id": 1, "email": "a@example.com", "name": "A", "created_at": "2026-01-01T00:00:00+00:00"}
EMPTY: dict[str, Any] = {"results": [], "next": None, "next_cursor": None}
NEW_CUSTOMER = ("customers", "create", "--email", "a@example.com", "--name", "A", "--json")


def test_a_refusal_is_said_in_plain_words_with_the_request_id(orders: Shell) -> None:
    ended = orders("show", 999_999_999)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("orders: Not found (404)\n")
    assert REQUEST_ID.search(ended.err)
    error = orders("show", 999_999_999, "--json").error
    assert (error["type"], error["status"]) == ("/problems/not-found", 404)
    assert error["request_id"]


def test_a_conflict_and_an_invalid_field_are_refused(orders: Shell) -> None:
    customer = orders.ok("customers", "create", "--email", f"{uuid4().hex}@example.com", "--name", "A", "--json").json["id"]
    order = orders.ok("create", "--customer", customer, "--item", "A:1:1", "--json").json["id"]
    orders.ok("cancel", order)
    conflict = orders("pay", order)
    assert conflict.code == 1
    assert "orders: Conflict with the current state (409)\n  The order is cancelled; allowed now: nothing.\n" in conflict.err
    assert orders("customers", "delete", customer, "--yes").code == 1
    invalid = orders("create", "--customer", customer, "--item", "A:0:1")
    assert invalid.code == 1
    assert "orders: Invalid request (422)\n  items.0.quantity: must be at least 1\n" in invalid.err
    assert "status" in orders("list", "--status", "payed").err


@pytest.mark.parametrize(
    "words",
    [
        ("lst",),
        ("show",),
        ("show", "abc"),
        ("show", "0"),
        ("list", "--limit", "0"),
        ("events", "--follow", "--interval", "0"),
        ("events", "--follow", "--interval", "nan"),
        ("events", "--follow", "--interval", "inf"),
        ("events", "--follow", "--interval", "1e300"),
        ("create",),
        ("create", "--customer", "1"),
        ("create", "--customer", "1", "--item", "A:1"),
        ("create", "--customer", "1", "--item", "A:1:x"),
        ("create", "--customer", "1", "--item", "A:1:1", "--from", "-"),
        ("create", "--from", "/nowhere"),
        ("create", "--from", ""),
        ("customers", "update", "1"),
        ("customers", "create", "--email", "a@example.com", "--name", "A", "--idempotency-key", "two words"),
        ("customers", "create", "--email", "a@example.com", "--name", "A", "--idempotency-key", ""),
        ("seed", "--cancel"),
        ("seed", "--run", ""),
        ("seed", "--run", "x", "--customers", "1"),
        ("list", "--url", "orders.example.com"),
        ("list", "--url", "ftp://orders.example.com"),
        ("list", "--url", "https://orders..example.com"),
        ("list", "--url", f"https://{'o' * 64}.example.com"),
        ("list", "--url", "https://orders.example.com/ü"),
        ("list", "--url", "https://orders.example.com/a b"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_not_sent(shell: Shell, words: tuple[str, ...]) -> None:
    with SmallServer() as server:
        ended = shell(*words, ORDERS_URL=server.url)
    assert (ended.code, ended.out, server.requests) == (2, "", [])
    assert ended.err


def test_a_body_that_cannot_be_read_is_named_with_the_reason(shell: Shell, tmp_path: Path) -> None:
    begun = "standard input is not a JSON document: "
    assert shell("create", "--from", "-").err == f"orders: {begun}it is empty\n"
    assert shell("create", "--from", "-", stdin="{").err.startswith(f"orders: {begun}Expecting property name")
    assert shell("create", "--from", "-", stdin="[" * 100_000).err == f"orders: {begun}it is nested too deeply\n"
    file = tmp_path / "order.json"
    assert shell("create", "--from", file).err == f"orders: {file} cannot be read: No such file or directory\n"
    assert shell("create", "--from", tmp_path).err == f"orders: {tmp_path} cannot be read: Is a directory\n"
    file.write_bytes(b'{"sku": "\xff"}')
    assert shell("create", "--from", file).err.startswith(f"orders: {file} is not a JSON document: 'utf-8' codec")


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("list", "--email", b"\xff"), "Malformed request (400)"),
        (("events", "--cursor", b"\xff"), "Malformed request (400)"),
        (("seed", "--run", b"\xff"), "Invalid request (422)"),
        (("create", "--customer", "1", "--item", b"A\xff:1:1"), "Invalid request (422)"),
    ],
    ids=str,
)
def test_bytes_that_are_no_text_are_refused_by_the_service(orders: Shell, words: tuple[str | bytes, ...], refusal: str) -> None:
    ended = orders(*map(os.fsdecode, words))
    assert (ended.code, ended.out, ended.err.splitlines()[0]) == (1, "", f"orders: {refusal}")


def test_a_service_that_is_down_is_not_reachable(shell: Shell) -> None:
    ended = shell("list", "--url", "http://127.0.0.1:9", ORDERS_RETRIES="1")
    assert ended.code == 3
    assert ended.err.startswith("orders: http://127.0.0.1:9 cannot be reached\n")
    assert "`make run` starts the service" in ended.err
    assert shell("list", "--url", "http://nowhere.invalid", "--json", ORDERS_RETRIES="0").error["title"]


@pytest.mark.parametrize("token", ["nonsense", "a.b.c"])
def test_a_wrong_token_is_not_authorized(shell: Shell, guarded: Laptop, token: str) -> None:
    ended = shell("list", "--url", guarded.url, ORDERS_TOKEN=token)
    assert ended.code == 4
    assert ended.err.startswith("orders: Unauthorized (401)\n  The token in ORDERS_TOKEN is not valid (any more)")
    assert REQUEST_ID.search(ended.err)
    ended = shell("list", "--url", guarded.url)
    assert (ended.code, "\n  `orders login` gets a token.\n" in ended.err) == (4, True)


def test_a_token_without_the_scope_is_not_authorized(shell: Shell, guarded: Laptop) -> None:
    read_only = re.findall(r"Read only: (\S+)", guarded.output)[0]
    assert shell("list", "--url", guarded.url, ORDERS_TOKEN=read_only).code == 0
    ended = shell("pay", 1, "--url", guarded.url, ORDERS_TOKEN=read_only)
    assert (ended.code, "lacks the scope" in ended.err) == (4, True)


def test_a_path_that_the_service_does_not_have_is_explained(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (404, {"message": "Not Found"}))
        ended = shell("list", "--url", server.url)
    assert (ended.code, "The service has no GET /api/orders/" in ended.err) == (1, True)


def test_a_list_is_asked_for_again_after_429_and_503(shell: Shell) -> None:
    with SmallServer() as server:
        busy = (429, {"message": "Too Many Requests"})
        down = (503, {"title": "Unavailable", "status": 503}, {"Retry-After": "1"})
        server.answer("GET", "/api/orders/", busy, down, (200, EMPTY))
        assert shell("list", "--url", server.url).code == 0
    assert len(server.requests) == 3
    # As Retry-After says, or later.
    assert server.requests[2].at - server.requests[1].at >= 1


def test_a_date_in_retry_after_is_honoured_and_a_long_wait_is_not_begun(shell: Shell) -> None:
    def soon(_: Asked) -> Reply:
        return 503, {}, {"Retry-After": formatdate(time.time() + 2, usegmt=True)}

    with SmallServer() as server:
        server.answer("GET", "/api/orders/", soon, (200, EMPTY))
        assert shell("list", "--url", server.url).code == 0
        assert server.requests[1].at - server.requests[0].at >= 1
        server.answer("GET", "/api/orders/", (503, {"title": "Unavailable"}, {"Retry-After": "3600"}))
        ended = shell("list", "--url", server.url)
    assert (ended.code, len(server.requests)) == (5, 3)


def test_many_retries_never_wait_longer_than_a_minute_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setenv("ORDERS_RETRIES", "12")
    with SmallServer() as server:
        monkeypatch.setattr("orders_cli.client.time.sleep", pauses.append)
        server.answer("GET", "/api/orders/", (503, {"title": "Unavailable"}), "hang up")
        server.answer("GET", "/api/customers/", (503, {"title": "Unavailable"}))
        client = Client(server.url, lambda refused: None)
        with pytest.raises(Unreachable):
            client.get("/api/orders/")
        with pytest.raises(Unavailable):
            client.get("/api/customers/")
        client.close()
    assert (len(server.requests), len(pauses), max(pauses) <= 60) == (26, 24, True)


def test_a_creating_post_is_sent_again_with_the_same_key(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("POST", "/api/customers/", (503, {}), "hang up", (201, CUSTOMER))
        assert shell(*NEW_CUSTOMER, "--url", server.url).json == CUSTOMER
    assert len(server.requests) == 3
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len({request.body for request in server.requests}) == 1


def test_what_a_crashed_function_leaves_open_is_sent_again(shell: Shell) -> None:
    crashed = (500, {"message": "Internal Server Error"})
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", crashed, (200, EMPTY))
        shell.ok("list", "--url", server.url)
        server.answer("POST", "/api/customers/", crashed, (201, CUSTOMER))
        assert shell(*NEW_CUSTOMER, "--url", server.url).json == CUSTOMER
    assert len({request.headers["idempotency-key"] for request in server.requests[2:]}) == 1


def test_two_commands_have_two_keys(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("POST", "/api/customers/", (201, CUSTOMER))
        for _ in range(2):
            shell.ok(*NEW_CUSTOMER, "--url", server.url)
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 2


@pytest.mark.parametrize(
    "fault", [(500, {}), (503, {"title": "Unavailable"}), (429, {"message": "Too Many Requests"}), "hang up"]
)
@pytest.mark.parametrize(("method", "words"), [("PATCH", ("update", "1", "--name", "B")), ("DELETE", ("delete", "1", "--yes"))])
def test_what_is_not_safe_is_sent_once(shell: Shell, fault: Any, method: str, words: tuple[str, ...]) -> None:
    with SmallServer() as server:
        server.answer(method, "/api/customers/1/", fault)
        ended = shell("customers", *words, "--url", server.url)
    assert (ended.code, len(server.requests)) == (3 if fault == "hang up" else 5, 1)


def test_the_service_stays_busy(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (429, {"message": "Too Many Requests"}, {"apigw-requestid": "abc="}))
        ended = shell("list", "--url", server.url, ORDERS_RETRIES="1")
    assert (ended.code, len(server.requests)) == (5, 2)
    assert ended.err == "orders: Too Many Requests (429)\n  request id: abc=\n"


def test_a_redirect_and_a_page_of_a_proxy_are_refusals(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (301, {}, {"Location": "https://elsewhere.example.com/"}))
        assert shell("list", "--url", server.url).code == 1
        server.answer("GET", "/api/orders/", (403, "<html>"))
        assert shell("list", "--url", server.url).code == 4
    assert len(server.requests) == 2


def test_a_page_cannot_command_the_terminal(shell: Shell) -> None:
    with SmallServer() as server:
        row = {**CUSTOMER, "name": "A\x1b[2J\nB"}
        server.answer("GET", "/api/customers/", (200, {"results": [row], "next": None, "next_cursor": None}))
        assert "A\\x1b[2J\\nB" in shell.ok("customers", "list", "--url", server.url).out
        server.answer("GET", "/api/customers/", (409, {"title": "T\x1b[2J", "detail": "D\x1b[2J"}))
        assert "\x1b" not in shell("customers", "list", "--url", server.url).err
        # The one character that some terminals take for ESC and [, and one that turns a line round.
        row = {**CUSTOMER, "name": "Ä\x9b2J\u202e"}
        server.answer("GET", "/api/customers/", (200, {**EMPTY, "results": [row]}))
        listed = shell.ok("customers", "list", "--json", "--url", server.url)
        assert ("Ä\\u009b2J\\u202e" in listed.out, listed.json["name"]) == (True, row["name"])
        server.answer("GET", "/api/customers/", (409, {"title": "\x9b2J"}))
        assert "\x9b" not in shell("customers", "list", "--json", "--url", server.url).err


@pytest.mark.parametrize(
    "content",
    [
        "<html>",
        "[" * 100_000,
        [],
        {"hello": "world"},
        {**EMPTY, "results": None},
        {**EMPTY, "results": ["row"]},
        {**EMPTY, "next_cursor": 1},
        {**EMPTY, "next_cursor": "\ud800"},
    ],
)
def test_the_url_of_something_else_is_noticed(shell: Shell, content: Any) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (200, content))
        ended = shell("list", "--url", server.url)
    assert (ended.code, "Is the URL that of the service?" in ended.err) == (1, True)


@pytest.mark.parametrize("errors", [1, {"field": "wrong"}, ["wrong", 1, None]])
def test_a_refusal_in_the_form_of_another_service_is_said(shell: Shell, errors: Any) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (422, {"title": "No", "errors": errors}, {"Retry-After": "9" * 5000}))
        ended = shell("list", "--url", server.url)
    assert (ended.code, "orders: No (422)" in ended.err) == (1, True)


def test_an_empty_number_of_retries_is_that_of_a_variable_that_is_not_set(shell: Shell) -> None:
    with SmallServer() as server:
        server.answer("GET", "/api/orders/", (503, {}, {"Retry-After": "0"}), (200, EMPTY))
        shell.ok("list", "--url", server.url, ORDERS_RETRIES="")
        assert shell("list", "--url", server.url, ORDERS_RETRIES="-1").code == 2


@pytest.mark.parametrize("token", ["two\nlines", "tokén"])
def test_a_token_with_impossible_characters_is_not_sent(shell: Shell, token: str) -> None:
    with SmallServer() as server:
        assert (shell("list", "--url", server.url, ORDERS_TOKEN=token).code, server.requests) == (2, [])


def test_a_file_of_tokens_that_nobody_understands_is_said(shell: Shell) -> None:
    folder = shell.home / ".config" / "orders"
    folder.mkdir(parents=True)
    for content in ("{", '{"http://127.0.0.1:9": {"later": 1}}'):
        (folder / "tokens.json").write_text(content)
        assert shell("list", "--url", "http://127.0.0.1:9").code == 2


class Tunnel(socketserver.ThreadingTCPServer):
    """A proxy that leads every CONNECT to one server."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), TunnelHandler)
        self.port = port
        self.heads: list[str] = []


class TunnelHandler(socketserver.StreamRequestHandler):
    server: Tunnel

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.read(1)
        self.server.heads.append(head.decode())
        with socket.create_connection(("127.0.0.1", self.server.port)) as far:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            threading.Thread(target=self._back, args=(far,), daemon=True).start()
            while data := self.connection.recv(65536):
                far.sendall(data)

    def _back(self, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                self.wfile.write(data)


def test_the_proxy_of_the_environment_is_used_except_for_this_machine(shell: Shell) -> None:
    with SmallServer() as server, Tunnel(urlsplit(server.url).port or 0) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        server.answer("GET", "/api/orders/", (200, EMPTY))
        shell.environment["http_proxy"] = f"http://me:pass%3A@127.0.0.1:{proxy.server_address[1]}"
        assert shell("list", "--url", "http://orders.example.com:8080").code == 0
        [head] = proxy.heads
        assert head.startswith("CONNECT orders.example.com:8080 ")
        assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:pass:').decode()}" in head
        assert server.requests[0].headers["host"] == "orders.example.com:8080"
        assert shell("list", "--url", "http://orders.example.com:8080", no_proxy="example.com", ORDERS_RETRIES="0").code == 3
        shell.ok("list", "--url", server.url)
        proxy.shutdown()
    assert len(proxy.heads) == 1


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key."""
    file = folder / "server.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(file), "-out", str(folder / "c.pem")]
    subprocess.run(
        [*words, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    file.write_text(file.read_text() + (folder / "c.pem").read_text())
    return file


def test_a_certificate_is_checked(shell: Shell, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with SmallServer(context) as server:
        server.answer("GET", "/api/orders/", (200, EMPTY))
        ended = shell("list", "--url", server.url)
        assert ended.code == 3
        assert f"The certificate of {server.url} is not trusted" in ended.err
        assert server.requests == []
        assert shell("list", "--url", server.url, SSL_CERT_FILE=str(tmp_path / "c.pem")).code == 0


def test_a_token_does_not_leave_this_machine_without_encryption(shell: Shell) -> None:
    ended = shell("list", "--url", "http://orders.example.com", ORDERS_TOKEN="secret")
    assert (ended.code, "without encryption" in ended.err) == (2, True)


def test_help_is_quick_because_it_imports_little(shell: Shell) -> None:
    """Counted instead of timed. Typer itself brings about a hundred modules of the standard library."""
    program = (
        "import sys\n"
        "from orders_cli.app import app\n"
        "try: app(['--help'], prog_name='orders')\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: orders" in done.stdout
    modules = set(done.stderr.split())
    heavy = {"rich", "pydantic", "httpx", "requests", "http.client", "http.server", "ssl", "email", "urllib.request", "asyncio"}
    assert modules & heavy == set()
    assert len(modules) < 180


def test_every_kind_of_failure_has_an_exit_code() -> None:
    assert {kind.code for kind in Failure.__subclasses__()} <= set(EXIT_CODES)
    assert app.info.epilog
