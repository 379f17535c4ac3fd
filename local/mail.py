"""What leaves the laptop as mail: moto's SES takes it, and it lies in a folder as a file that every mail program opens."""

import io
import json
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from local.events import HttpRequest, HttpResponse, message
from local.runtime import ACCOUNT, REGION

# What functions send, in SES's API.
SENDING = "/v2/email/outbound-emails"
LIST = "/laptop/mails"
MOST_LISTED = 50
# SES's own addresses for trying out what becomes of mail. Each may have a label: bounce+7@…
SIMULATOR = "@simulator.amazonses.com"
FEEDBACK: dict[str, dict[str, Any]] = {
    "bounce": {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "General"}},
    "complaint": {"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}},
}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Mailbox:
    """The folder, with what SES does around it."""

    def __init__(self, folder: Path, sender: str, tell: Callable[[str], None]) -> None:
        """sender: who may send. tell: gets, as JSON, what SES would publish of a mail to one of its simulator's addresses."""
        self.folder, self.sender, self.tell = folder, parseaddr(sender)[1], tell
        self.lock = threading.Lock()

    def around(self, application: Application) -> Application:
        """moto's application: what it accepts as mail is kept."""

        def keeping(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", SENDING):
                return application(environ, start_response)
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            with self.lock:
                self._let_send()
                answer = b"".join(application({**environ, "wsgi.input": io.BytesIO(body)}, start_response))
                self._keep()
            if message_id := json.loads(answer).get("MessageId"):
                self._give_feedback(json.loads(body), message_id)
            return [answer]

        return keeping

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """The list of the newest mails, newest first; None for a request that is for somebody else."""
        if request.raw_path.rstrip("/") != LIST:
            return None
        if request.method != "GET":
            return message(404, "Not Found")
        files = sorted(self.folder.glob("*.eml"), reverse=True)[:MOST_LISTED]
        listed = json.dumps({"results": [_shown(file) for file in files]}, ensure_ascii=False).encode()
        return HttpResponse(200, [("content-type", "application/json"), ("cache-control", "no-store")], listed)

    def _let_send(self) -> None:
        """Not before there is a mail: SES's part of moto takes memory."""
        if self.sender not in _backend().email_identities:
            _backend().create_email_identity_v2(self.sender, None, None, None)

    def _keep(self) -> None:
        messages = _backend().sent_messages
        self.folder.mkdir(parents=True, exist_ok=True)
        while messages:
            sent = messages.pop(0)
            file = self.folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}.eml"
            # Whole or not at all, for whoever reads meanwhile and where this process is killed.
            part = file.with_suffix(".part")
            part.write_bytes(sent.raw_data.encode())
            part.rename(file)

    def _give_feedback(self, request: dict[str, Any], message_id: str) -> None:
        tags = {tag["Name"]: [tag["Value"]] for tag in request.get("EmailTags", [])}
        for address in request["Destination"]["ToAddresses"]:
            event = FEEDBACK.get(address.removesuffix(SIMULATOR).partition("+")[0]) if address.endswith(SIMULATOR) else None
            if event is not None:
                self.tell(json.dumps({**event, "mail": {"messageId": message_id, "tags": tags}}))


def _backend() -> Any:
    from moto.ses.models import ses_backends  # noqa: PLC0415 - see _let_send

    return ses_backends[ACCOUNT][REGION]


def _shown(file: Path) -> dict[str, str | None]:
    mail = message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default)
    text = mail.get_body(("plain",))
    return {
        "file": str(file),
        "at": mail["Date"],
        "from": mail["From"],
        "to": mail["To"],
        "subject": mail["Subject"],
        "text": None if text is None else text.get_content().replace("\r\n", "\n"),
    }
