"""Mail on the laptop: the functions send it as in the cloud, and it lies in a folder."""

import re
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from drill.laptop import Laptop
from drill.servers import wait_until
from local.cloud import Settings
from tests.browser import Browser, needs_browser

# Whoever writes a longer file ends in the middle of it.
CUT_OFF = """
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

from local import mail

mail._backend = lambda: SimpleNamespace(sent_messages=[SimpleNamespace(raw_data="Subject: whole\\n\\n" + 1000 * "x")])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
mail.Mailbox(Path(sys.argv[1]), "a@example.com", print)._keep()
"""
ITEM = {"sku": "MUG-11", "quantity": 2, "unit_price_cents": 1250}


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Whose queue repeats what it may repeat."""
    sender, chaos = Settings.mail_from, "duplicate,delay,reorder"
    with Laptop(tmp_path_factory.mktemp("laptop"), MAIL_FROM=sender, QUEUE_CHAOS=chaos) as laptop:
        yield laptop


def order(laptop: Laptop, email: str) -> int:
    customer = laptop.post("/api/customers/", {"email": email, "name": "Zoë"}).json()
    return int(laptop.post("/api/orders/", {"customer_id": customer["id"], "items": [ITEM]}).json()["id"])


def mails(laptop: Laptop, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = laptop.get(f"/api/orders/{number}/mails/").json()["results"]
    return found


def statuses(laptop: Laptop, number: int) -> list[str]:
    return [mail["status"] for mail in mails(laptop, number)]


def test_every_mail_is_a_file_that_mail_programs_open_and_the_newest_are_a_list(mailing: Laptop) -> None:
    number = order(mailing, "zoe@example.com")
    mailing.post(f"/api/orders/{number}/pay/")
    wait_until(lambda: statuses(mailing, number) == ["sent", "sent"], "Two mails")
    files = sorted((mailing.folder / "mail").glob("*.eml"))
    messages = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
    assert sorted(str(message["Subject"]) for message in messages) == [
        f"We have received the payment for your order #{number}",
        f"We have received your order #{number}",
    ]
    for message in messages:
        assert (message["From"], message["To"]) == (Settings.mail_from, "zoe@example.com")
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    listed = mailing.get("/laptop/mails").json()["results"]
    assert [mail["file"] for mail in listed] == [str(file) for file in reversed(files)]
    assert {mail["to"] for mail in listed} == {"zoe@example.com"}
    assert all("Hello Zoë,\n" in mail["text"] and "         25.00  2 × MUG-11\n" in mail["text"] for mail in listed)
    assert mailing.post("/laptop/mails").status_code == 404


def test_an_address_of_sess_simulator_bounces_as_it_does_there(mailing: Laptop) -> None:
    for what, status in (("bounce", "bounced"), ("complaint", "complained")):
        number = order(mailing, f"{what}+{status}@simulator.amazonses.com")
        wait_until(lambda number=number, status=status: statuses(mailing, number) == [status], f"The {what}")  # type: ignore[misc]
        mailing.post(f"/api/orders/{number}/pay/")
        wait_until(lambda number=number: statuses(mailing, number)[1:] == ["suppressed"], "The second mail")  # type: ignore[misc]


@needs_browser
def test_the_console_shows_each_mail_beside_its_event(browser: Browser, mailing: Laptop) -> None:
    number = order(mailing, "bounce+seen@simulator.amazonses.com")
    wait_until(lambda: statuses(mailing, number) == ["bounced"], "The bounce")
    mailing.post(f"/api/orders/{number}/pay/")
    wait_until(lambda: statuses(mailing, number)[1:] == ["suppressed"], "The second mail")
    browser.get(f"{mailing.url}/#/orders/{number}")
    browser.one(".timeline .event")
    shown = browser.execute_script("return [...document.querySelectorAll('.timeline > li')].map(element => element.innerText)")
    assert "The mail about it was not sent: Mail to this address has bounced." in shown[0]
    assert "The mail about it bounced: It could not be delivered: Permanent, General." in shown[1]


@needs_browser
def test_the_console_shows_the_mails_that_the_laptop_kept(browser: Browser, mailing: Laptop) -> None:
    number = order(mailing, "newest@example.com")
    wait_until(lambda: statuses(mailing, number) == ["sent"], "The mail")
    browser.get(mailing.url)
    browser.one("nav a[href='#/mails']").click()
    newest = browser.one(".mail")
    assert f"We have received your order #{number}" in newest.text
    assert " to newest@example.com" in newest.text
    newest.find_element("css selector", "summary").click()
    assert "2 × MUG-11" in newest.find_element("css selector", "pre").text


def test_with_tokens_only_those_who_may_read_orders_see_mails(guarded: Laptop) -> None:
    assert guarded.get("/laptop/mails").status_code == 401
    [token] = re.findall(r"Read only: (\S+)", guarded.output)
    answer = guarded.get("/laptop/mails", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()) == (200, {"results": []})


def test_whoever_dies_while_writing_a_mail_leaves_none(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT_OFF, tmp_path], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert list(tmp_path.glob("*.eml")) == []


def test_without_a_sender_there_is_no_mail(laptop: Laptop) -> None:
    number = order(laptop, "zoe@example.com")
    assert mails(laptop, number) == []
