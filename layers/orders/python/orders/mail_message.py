"""A mail as it is sent, of templates and of what the relay composed."""

import re
import tomllib
import unicodedata
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

# Lines and bodies that any server on the way takes as they are.
POLICY = SMTP.clone(cte_type="7bit", raise_on_defect=True)
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
RIGHT_TO_LEFT = {"R", "AL", "AN"}
# Several scripts, and emoji, need them between letters.
JOINERS = "\u200c\u200d"
# What resolves. The contract takes more, and a comma or a colon in it would make several recipients of one.
DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.IGNORECASE)
# No server takes more (RFC 5321), and where a longer one is folded, Python leaves out the quotes around it.
MOST_LOCAL = 64


class Unmailable(ValueError):
    """No mail can be written to the address."""


class Mails:
    def __init__(self, sender: str, templates: Path) -> None:
        """sender: an address, with or without a name. templates: the folder with mail.txt, mail.html and texts.toml."""
        name, address = parseaddr(sender)
        self.sender = Address(name, addr_spec=address)
        self.texts = tomllib.loads((templates / "texts.toml").read_text("utf-8"))
        loader = FileSystemLoader(templates)
        self.plain = _environment(loader, autoescape=False)
        self.html = _environment(loader, autoescape=True)

    def write(self, message: dict[str, Any]) -> EmailMessage:
        """message: as compose_mails makes it. Raises Unmailable."""
        texts = self.texts[message["type"]]
        mail = EmailMessage(POLICY)
        mail["From"] = self.sender
        mail["To"] = recipient(message["to"])
        mail["Subject"] = self.plain.from_string(texts["subject"]).render(message)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<mail.{message['mail']}@{self.sender.domain}>"
        # Holiday notices and other machines do not answer.
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(self._render(self.plain, "mail.txt", texts, message))
        mail.add_alternative(self._render(self.html, "mail.html", texts, message), subtype="html")
        return mail

    def _render(self, environment: Environment, name: str, texts: dict[str, str], message: dict[str, Any]) -> str:
        # Markup stands for what is clean, and escaped where it has to be.
        lead = Markup(environment.from_string(texts["lead"]).render(message))  # noqa: S704
        return environment.get_template(name).render(message, lead=lead)


def recipient(address: str) -> Address:
    """Quoted where it needs to be, so that no comma in it makes two addresses of one."""
    local, _, domain = address.rpartition("@")
    try:
        if not (address.isascii() and address.isprintable() and len(local) <= MOST_LOCAL and DOMAIN.fullmatch(domain)):
            raise ValueError
        return Address("", local, domain)
    except ValueError:
        raise Unmailable("No mail can be written to this address.") from None


def clean(value: object) -> object:
    """Text from outside without what could break a line, hide, or turn the text around it; kept apart if it runs leftward."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = "".join(" " if _ends_a_line(character) else character for character in value if not _is_invisible(character))
    text = re.sub(r"\s+", " ", text).strip()
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text


def money(cents: int, width: int = 0) -> Markup:
    return Markup(f"{cents // 100:,}.{cents % 100:02}".rjust(width))  # noqa: S704


def _ends_a_line(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Cs", "Co", "Cn") and character not in JOINERS


def _environment(loader: FileSystemLoader, *, autoescape: bool) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=autoescape,  # noqa: S701 - plain text needs no escaping
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = money
    return environment
