"""Customers get mails about their orders: each once, unless what came of it was lost between SES and its record."""

import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import pairwise
from pathlib import Path

from drill.checks import Evidence
from drill.parts import UNFINISHED, check, fault
from drill.people import people_of
from drill.stage import Stage

# By the type of the event, what its subject says.
SUBJECTS = {
    "order.created": "We have received your order {}",
    "order.paid": "We have received the payment for your order {}",
    "order.shipped": "Your order {} is on its way",
    "order.delivered": "Your order {} was delivered",
    "order.cancelled": "Your order {} was cancelled",
}
MAILS = """
SELECT m.id, m.event_id, m.type, m.status, m.attempts, coalesce(o.reference, '#' || o.id), c.email, o.customer_id
FROM mails AS m JOIN orders AS o ON o.id = m.order_id JOIN customers AS c ON c.id = o.customer_id
"""
EVENTS = "SELECT id FROM events WHERE type = ANY (:kinds::text[])"
MAIL_ID = re.compile(r"<mail\.(\d+)@")
TWICE = "mails sent twice, as a kill or a loss fell between SES and their record"
UNFINISHED["mails"] = "SELECT 'mail ' || id || ' after ' || attempts || ' attempts' FROM mails WHERE status = 'queued'"


@dataclass(frozen=True)
class Letter:
    """A file in the folder of mails. at: when it was taken, in seconds since 1970."""

    at: float
    to: str
    subject: str


def letters(folder: Path) -> tuple[dict[int, list[Letter]], list[str]]:
    """By the mail's number, the oldest first; and what is no mail of the service's."""
    found: dict[int, list[Letter]] = defaultdict(list)
    strange = []
    for file in sorted(folder.glob("*.eml")):
        mail = message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default)
        number = MAIL_ID.match(mail["Message-ID"] or "")
        if number is None:
            strange.append(f"{file.name} is no mail")
            continue
        at = datetime.strptime(file.stem, "%Y-%m-%dT%H-%M-%S.%f").replace(tzinfo=UTC).timestamp()
        found[int(number[1])].append(Letter(at, str(mail["To"]), str(mail["Subject"])))
    return found, strange


@fault
def ses_refusing(stage: Stage, chance: random.Random) -> str:
    seconds = chance.uniform(2, 5)
    with stage.refusing("ses"):
        time.sleep(seconds)
    return f"SES answered 503 for {seconds:.1f} s"


@check
def mails(evidence: Evidence) -> None:
    stage = evidence.stage
    if not stage.sender:
        return
    sent, wrong = letters(stage.folder / "cloud" / "mail")
    rows = {row[0]: row[1:] for row in evidence.connection.run(MAILS)}
    events = [row[0] for row in evidence.connection.run(EVENTS, kinds=list(SUBJECTS))]
    of_event = Counter(event for event, *_ in rows.values())
    missing = [f"event {event} has {of_event[event]} mails" for event in events if of_event[event] != 1]
    missing += [f"a mail is about event {event}, of which there is none to tell" for event in of_event.keys() - set(events)]
    _, erased = people_of(evidence)
    twice = []
    for number, (event, kind, status, attempts, name, address, customer) in rows.items():
        copies = sent.pop(number, [])
        if status == "failed" and customer in erased:
            # Its attempts may have been made before.
            pass
        elif status != "sent":
            missing.append(f"mail {number} of event {event} is {status} after {attempts} attempts")
        elif not copies:
            missing.append(f"mail {number} of event {event} is sent, and nobody got it")
        for copy in copies:
            if copy.subject != SUBJECTS[kind].format(name) or (copy.to != address and customer not in erased):
                wrong.append(f"mail {number} of event {event}, {kind}, went to {copy.to}: {copy.subject}")
        for former, later in pairwise(copies):
            if stage.lost_record_of_mail(former.at, later.at):
                stage.counts[TWICE] += 1
            else:
                twice.append(f"mail {number} of event {event} was sent again after {later.at - former.at:.1f} s")
    wrong += [f"mail {number} was sent, and there is no such mail" for number in sent]
    evidence.note("each event of an order that customers are told of is a mail that was sent", missing, len(events))
    evidence.note("a mail goes to whom it is for, about what happened", wrong, len(rows))
    evidence.note("no mail is sent twice, unless its record was lost", twice, len(rows))
