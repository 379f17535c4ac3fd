"""The feed, exports and webhooks, against a small server that plays the contract's second edition."""

import base64
import gzip
import hmac
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from contract.complete import EXAMPLES
from drill.laptop import Laptop
from drill.servers import wait_until
from orders_cli.client import Client
from orders_cli.deliveries import NotVerified, secret_key, verified
from tests.cli.conftest import PROGRAM, Shell
from tests.cli.server import Asked, Reply, SmallServer

# From the specification of Standard Webhooks, not from our code.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED_AT = 1614265330
SIGNED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(SIGNED_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SIGNED_BODY = b'{"test": 2432232314}'


def event(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "order.paid",
        "at": "2026-01-01T00:00:00.123456+00:00",
        "actor": None,
        "request_id": "r",
        "order_id": 10 + number,
        "customer_id": None,
        "sequence": 1,
        "changes": {},
    }


class Feed(SmallServer):
    """Two events per page; `next_cursor` is always given, `next` only where there is more."""

    def __init__(self) -> None:
        super().__init__()
        self.events = [event(number) for number in range(1, 6)]
        self.answer("GET", "/api/events/", self.page)

    def page(self, asked: Asked) -> Reply:
        begin = int(asked.query.get("cursor", "0"))
        results = self.events[begin : begin + 2]
        end = begin + len(results)
        following = f"{self.url}/api/events/?cursor={end}" if end < len(self.events) else None
        return 200, {"results": results, "next": following, "next_cursor": str(end)}


def test_events_are_walked_and_continued_from_a_cursor(shell: Shell) -> None:
    with Feed() as feed:
        shell.environment["ORDERS_URL"] = feed.url
        ended = shell.ok("events", "--type", "order.paid", "--order", 7, "--json")
        assert [document["id"] for document in ended.lines] == [1, 2, 3, 4, 5]
        assert feed.requests[0].query == {"type": "order.paid", "order_id": "7", "limit": "200"}
        ended = shell.ok("events", "--cursor", "4")
        assert ended.out == "5\t2026-01-01 00:00:00\torder.paid\t15\t\t\n"
        assert ended.err == "Continue with --cursor 5\n"


def test_an_empty_cursor_is_the_beginning_of_the_feed(orders: Shell) -> None:
    """What a script reads from the file in which it will keep the cursor."""
    orders.ok("customers", "create", "--email", "begin@example.com", "--name", "A")
    assert orders.ok("events", "--cursor", "", "--json").lines == orders.ok("events", "--json").lines != []


def test_a_refused_cursor_is_not_advised_again(orders: Shell) -> None:
    ended = orders("events", "--cursor", "zzz")
    assert (ended.code, ended.err.startswith("orders: Invalid request (422)\n  cursor: ")) == (1, True)


def test_following_the_feed_prints_later_events_once_until_ctrl_c(shell: Shell) -> None:
    with Feed() as feed:
        process = shell.start("events", "--follow", "--interval", "0.1", "--json", "--url", feed.url)
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["id"] for _ in range(5)] == [1, 2, 3, 4, 5]
        asked = len(feed.requests)
        wait_until(lambda: len(feed.requests) > asked + 2, "Questions at the end", 30)
        feed.events.append(event(6))
        assert json.loads(process.stdout.readline())["id"] == 6
        # With the next question the page's cursor is kept; before it, ctrl-C names the former one, and the event comes again.
        asked = len(feed.requests)
        wait_until(lambda: len(feed.requests) > asked + 1, "A question after the event", 30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", '{"next_cursor": "6"}\n')


class Exports(SmallServer):
    """An export that is finished at the third look. Its link is on the same server and takes no token."""

    content = b"id,status\n1,paid\n"
    # As the service makes it: several compressed files, one after the other.
    packed = gzip.compress(content[:10]) + gzip.compress(content[10:])

    def __init__(self) -> None:
        super().__init__()
        self.document = {"id": 5, "kind": "orders", "format": "csv", "rows": None, "bytes": None, "url": None, "progress": 0}
        self.answer("POST", "/api/exports/", (202, {**self.document, "status": "queued"}))
        running = {**self.document, "status": "running", "progress": 50}
        link = {**self.document, "status": "succeeded", "rows": 1, "bytes": len(self.packed), "url": f"{self.url}/file?sign=x"}
        self.answer("GET", "/api/exports/5/", (200, running), (200, running), (200, link))
        self.answer("DELETE", "/api/exports/5/", (204, ""))
        self.answer("GET", "/file", (200, self.packed, {"Content-Type": "application/gzip"}))


def test_an_export_is_downloaded_when_it_is_finished(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    with Exports() as exports:
        words = ("export", "orders", "--status", "paid", "--customer", 3, "--filter", "reference=7", "-o", file, "--json")
        done = shell.ok(*words, "--url", exports.url, ORDERS_TOKEN="secret").json
    assert (done["rows"], done["file"], "url" in done) == (1, str(file), False)
    assert file.read_bytes() == exports.content
    assert exports.requests[0].json == {
        "kind": "orders",
        "format": "csv",
        "filters": {"status": "paid", "customer_id": 3, "reference": "7"},
    }
    assert "idempotency-key" in exports.requests[0].headers
    assert ["authorization" in request.headers for request in exports.requests] == [True] * 4 + [False]


def test_an_export_goes_to_stdout(shell: Shell) -> None:
    with Exports() as exports:
        assert shell.ok("export", "orders", "-o", "-", "--url", exports.url).out == exports.content.decode()
        assert shell("export", "orders", "-o", "-", "--json", "--url", exports.url).code == 2


def test_an_export_stays_compressed_under_a_name_that_says_so(shell: Shell, tmp_path: Path) -> None:
    with Exports() as exports:
        shell.ok("export", "orders", "-o", tmp_path / "orders.csv.gz", "--url", exports.url)
        assert (tmp_path / "orders.csv.gz").read_bytes() == exports.packed
        exports.answer("GET", "/file", (200, exports.packed[:-9]))
        assert shell("export", "orders", "-o", tmp_path / "half.csv", "--url", exports.url).code == 3
        exports.answer("GET", "/file", (200, b"not compressed"))
        assert shell("export", "orders", "-o", tmp_path / "half.csv", "--url", exports.url).code == 3
    assert [file.name for file in tmp_path.glob("*.*") if not file.name.startswith(".")] == ["orders.csv.gz"]


def test_the_service_exports_to_a_file(orders: Shell, laptop: Laptop, tmp_path: Path) -> None:
    customer = orders.ok("customers", "create", "--email", "export@example.com", "--name", "=1+1", "--json").json["id"]
    file = tmp_path / "customers.csv"
    done = orders.ok("export", "customers", "--email", "export@", "-o", file, "--json").json
    assert (done["status"], done["rows"], done["consistent"]) == ("succeeded", 1, True)
    heading, row = file.read_text().splitlines()
    assert heading == "id,email,name,metadata,created_at"
    assert row.startswith(f"{customer},export@example.com,'=1+1,")


def test_a_failed_export_and_a_broken_download_leave_no_file(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    with Exports() as exports:
        words = ("export", "orders", "-o", file, "--url", exports.url)
        exports.answer("GET", "/file", (200, b"half", {"Content-Length": "1000", "Connection": "close"}))
        assert shell(*words).code == 3
        exports.answer("GET", "/file", (403, "<Error>Request has expired</Error>"))
        assert shell(*words).code == 4
        exports.answer("GET", "/api/exports/5/", (200, {**exports.document, "status": "failed", "error": "The disk is full"}))
        ended = shell(*words)
        assert (ended.code, "The disk is full" in ended.err) == (6, True)
        exports.answer("POST", "/api/exports/", (409, {"title": "Conflict with the current state", "detail": "Five at once"}))
        assert (shell(*words).code, list(tmp_path.glob("orders*"))) == (1, [])


def test_what_is_no_file_is_written_to_and_not_replaced(shell: Shell, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Exports() as exports, os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        shell.ok("export", "orders", "-o", pipe, "--url", exports.url)
        assert (reader.read(), pipe.is_fifo(), list(tmp_path.glob("*.part"))) == (exports.content, True, [])


@pytest.mark.parametrize("place", ["", "no-folder/orders.csv"])
def test_an_export_that_cannot_be_stored_is_not_begun(shell: Shell, tmp_path: Path, place: str) -> None:
    with Exports() as exports:
        ended = shell("export", "orders", "-o", tmp_path / place, "--url", exports.url)
    assert (ended.code, "cannot be written" in ended.err, exports.requests) == (2, True, [])


def test_a_full_disk_is_said(shell: Shell) -> None:
    with Exports() as exports, Path("/dev/full").open("w") as full:
        exports.answer("GET", "/api/events/", (200, {"results": [event(1)], "next": None, "next_cursor": "1"}))
        for words in (("export", "orders", "-o", "-"), ("events",), ("events", "--json")):
            process = subprocess.run(
                [PROGRAM, *words, "--url", exports.url],
                env=shell.full_environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=30,
                check=False,
            )
            assert (process.returncode, "Traceback" in process.stderr, "No space left" in process.stderr) == (2, False, True)


def test_ctrl_c_cancels_the_export(shell: Shell, tmp_path: Path) -> None:
    with Exports() as exports:
        exports.answer("GET", "/api/exports/5/", (200, {**exports.document, "status": "running"}))
        process = shell.start("export", "orders", "-o", str(tmp_path / "x"), "--url", exports.url)
        wait_until(lambda: len(exports.requests) > 1, "A look at the export", 30)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, exports.requests[-1].method, "Export 5 is cancelled" in err) == (130, "DELETE", True)


def test_what_follows_an_interrupted_request_is_asked_on_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(response: object) -> None:
        raise KeyboardInterrupt

    with Exports() as exports:
        client = Client(exports.url, lambda renew: None)
        with monkeypatch.context() as patched:
            patched.setattr("orders_cli.client.read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.get("/api/exports/5/")
        client.ask("DELETE", "/api/exports/5/")
        client.close()
    assert [request.method for request in exports.requests] == ["GET", "DELETE"]


def test_webhooks_are_created_and_listed(shell: Shell) -> None:
    target = "https://shop.example.com/hook"
    webhook = {"id": "w1", "url": target, "types": ["order.paid"], "secret": SECRET}
    with SmallServer() as server:
        shell.environment["ORDERS_URL"] = server.url
        server.answer("POST", "/api/webhooks/", (201, webhook))
        server.answer("GET", "/api/webhooks/", (200, {"results": [webhook], "next": None, "next_cursor": None}))
        assert SECRET in shell.ok("webhooks", "create", target, "--type", "order.paid").out
        shell.ok("webhooks", "create", target, "--description", "Shop", "--json")
        assert [request.json for request in server.requests] == [
            {"url": webhook["url"], "types": ["order.paid"]},
            {"url": webhook["url"], "types": ["*"], "description": "Shop"},
        ]
        assert all("idempotency-key" in request.headers for request in server.requests)
        assert shell.ok("webhooks", "list").out == "w1\torder.paid\thttps://shop.example.com/hook\n"


def test_an_orders_mails_are_listed_as_the_contract_shows_them(shell: Shell) -> None:
    [page] = json.loads(EXAMPLES.read_text())["list_order_mails"]["answers"]["200"]["bodies"].values()
    [mail] = page["results"]
    with SmallServer() as server:
        server.answer("GET", "/api/orders/7/mails/", (200, {**page, "next": None, "next_cursor": None}))
        assert shell.ok("mails", 7, "--json", "--url", server.url).lines == [mail]
        [line] = shell.ok("mails", 7, "--url", server.url).out.splitlines()
    assert [line.split("\t")[place] for place in (0, 3, 4)] == [str(mail["id"]), mail["type"], mail["status"]]


def test_deliveries_are_listed_by_webhook_and_by_order(orders: Shell, laptop: Laptop) -> None:
    # Nobody listens there.
    hook = orders.ok("webhooks", "create", "http://127.0.0.1:9/", "--type", "order.created", "--json").json["id"]
    customer = orders.ok("customers", "create", "--email", "told@example.com", "--name", "A", "--json").json["id"]
    first, second = (orders.ok("create", "--customer", customer, "--item", "A:1:1", "--json").json["id"] for _ in range(2))
    mine = orders.ok("webhooks", "deliveries", "--order", second, "--json").lines
    assert [(each["webhook_id"], each["type"]) for each in mine] == [(hook, "order.created")]
    newest, _ = orders.ok("webhooks", "deliveries", hook, "--json").lines
    assert newest["id"] == mine[0]["id"]
    assert len(orders.ok("webhooks", "deliveries", hook).out.splitlines()) == 2
    assert [orders("webhooks", "deliveries", *words).code for words in ((), (hook, "--order", first))] == [2, 2]
    assert laptop.http.delete(f"/api/webhooks/{hook}/").status_code == 204


def test_the_example_of_the_standard_is_verified() -> None:
    delivery = verified(secret_key(SECRET), SIGNED, SIGNED_BODY, SIGNED_AT + 300)
    assert delivery.document == {
        "webhook_id": SIGNED["webhook-id"],
        "webhook_timestamp": SIGNED_AT,
        "body": {"test": 2432232314},
    }
    several = {**SIGNED, "webhook-signature": f"v1,AAAA v1a,x {SIGNED['webhook-signature']}"}
    verified(secret_key(SECRET), several, SIGNED_BODY, SIGNED_AT - 300)


@pytest.mark.parametrize(
    ("change", "body", "off"),
    [
        ({}, SIGNED_BODY + b" ", 0),
        ({"webhook-id": "msg_other"}, SIGNED_BODY, 0),
        ({"webhook-timestamp": str(SIGNED_AT + 1)}, SIGNED_BODY, 0),
        ({"webhook-timestamp": ""}, SIGNED_BODY, 0),
        ({"webhook-signature": ""}, SIGNED_BODY, 0),
        ({"webhook-signature": "v1,"}, SIGNED_BODY, 0),
        ({"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, SIGNED_BODY, 0),
        ({}, SIGNED_BODY, 301),
        ({}, SIGNED_BODY, -301),
    ],
)
def test_a_delivery_that_differs_is_not_believed(change: dict[str, str], body: bytes, off: int) -> None:
    with pytest.raises(NotVerified):
        verified(secret_key(SECRET), SIGNED | change, body, SIGNED_AT + off)


def deliver(url: str, body: bytes, secret: str = SECRET) -> int:
    """The status that the listener answers, to a delivery that is signed now."""
    now = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"e1.{now}.".encode() + body, "sha256")).decode()
    headers = {"webhook-id": "e1", "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
    try:
        with urlopen(Request(url, body, headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def listening(shell: Shell, *words: str) -> tuple["subprocess.Popen[str]", str]:
    shell.environment["ORDERS_WEBHOOK_SECRET"] = SECRET
    process = shell.start("webhooks", "listen", "--port", "0", *words)
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found
    return process, found[0]


def test_listening_prints_verified_deliveries_only(shell: Shell) -> None:
    process, url = listening(shell, "--count", "2")
    assert [deliver(url, b'{"n": 1}'), deliver(url, b"forged", "whsec_AAAA"), deliver(url, b"\x1b[2J")] == [204, 401, 204]
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "Refused a delivery: its signature does not fit the secret\n")
    assert [line.split()[0] for line in out.splitlines()] == ["e1", "e1"]
    assert '{"n": 1}' in out
    assert "\\x1b[2J" in out


def test_listening_takes_posts_only(shell: Shell) -> None:
    process, url = listening(shell, "--count", "1")
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        with pytest.raises(HTTPError) as refused, urlopen(Request(url, method=method), timeout=10):
            pass
        with refused.value as answer:
            assert (answer.code, answer.headers["Allow"], answer.read()) == (405, "POST", b""), method
    assert deliver(url, b"{}") == 204
    _, err = process.communicate(timeout=30)
    assert err.splitlines()[0] == "Refused a delivery: it is a GET, and deliveries are POSTs"
    assert len(err.splitlines()) == 6


def test_ctrl_c_ends_listening_and_a_secret_is_checked(shell: Shell) -> None:
    process, url = listening(shell)
    assert deliver(url, b"{}") == 204
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    for wrong in ("whsec_?", "whsec_é"):
        assert shell("webhooks", "listen", ORDERS_WEBHOOK_SECRET=wrong).code == 2
    assert shell("webhooks", "listen", stdin="whsec_?\n", ORDERS_WEBHOOK_SECRET="").err == (
        "orders: A webhook's secret is whsec_ and base64\n"
    )


def test_a_secret_that_nobody_gives_is_a_wrong_command_line(shell: Shell) -> None:
    ended = shell("webhooks", "listen", "--json")
    assert (ended.code, ended.error["title"]) == (2, "There is no secret: nobody gave one, and ORDERS_WEBHOOK_SECRET is empty")
