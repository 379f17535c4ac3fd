"""The tokens of `orders login`: kept in one file that only its owner can read, and renewed when they have expired."""

import base64
import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

from orders_cli.errors import Failure, Unauthorized, Unavailable, WrongUse
from orders_cli.transport import is_private, once, split

# A token is renewed this long before it expires.
MARGIN_SECONDS = 60
# When an issuer does not say how long its token is valid.
ASSUMED_SECONDS = 3600
# Some issuers write the number as a text.
SECONDS = re.compile("[1-9][0-9]{0,8}")


def is_token(text: str) -> bool:
    """Whether a header can hold it."""
    return text.isascii() and text.isprintable()


@dataclass(frozen=True)
class Login:
    """Who signs in where. A machine has a secret; a person has a refresh token, if the issuer gives one."""

    token_url: str
    client_id: str
    client_secret: str | None = None
    scope: str = ""
    access_token: str = ""
    expires_at: float = 0
    refresh_token: str | None = None

    def fetched(self, form: dict[str, str]) -> "Login":
        """With the tokens that the issuer gives for this form. Raises Unauthorized if it gives none."""
        if not is_private(split(self.token_url)):
            raise WrongUse(f"Credentials are not sent to {self.token_url} without encryption: use https://")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.client_secret:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        answer = once("POST", self.token_url, headers, urlencode({"client_id": self.client_id, **form}).encode())
        document = answer.document if isinstance(answer.document, dict) else {}
        token = document.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not is_token(token):
            reason = document.get("error_description") or document.get("error") or f"it answered {answer.status}"
            kind: type[Failure] = Unavailable if answer.status == 429 or answer.status >= 500 else Unauthorized
            raise kind(f"{self.token_url} gives no token", str(reason))
        valid = str(document.get("expires_in"))
        return Login(
            **{
                **asdict(self),
                "access_token": token,
                "expires_at": time.time() + (int(valid) if SECONDS.fullmatch(valid) else ASSUMED_SECONDS),
                "refresh_token": document.get("refresh_token") or self.refresh_token,
            }
        )

    def as_machine(self) -> "Login":
        """Client credentials."""
        scope = {"scope": self.scope} if self.scope else {}
        return self.fetched({"grant_type": "client_credentials", **scope})

    def renewed(self) -> "Login | None":
        """None if there is nothing to renew it with."""
        if self.client_secret:
            return self.as_machine()
        if self.refresh_token:
            return self.fetched({"grant_type": "refresh_token", "refresh_token": self.refresh_token})
        return None


class TokenFile:
    """Logins by the URL of the service."""

    def __init__(self) -> None:
        folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        self.path = Path(folder).expanduser() / "orders" / "tokens.json"

    def read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as reason:
            raise WrongUse(f"{self.path} cannot be read: {reason}") from reason
        return content if isinstance(content, dict) else {}

    def get(self, url: str) -> Login | None:
        known = self.read().get(url)
        try:
            return Login(**known) if known else None
        except TypeError as reason:
            raise WrongUse(f"{self.path} is of another version: sign in again") from reason

    def put(self, url: str, login: Login | None) -> bool:
        """None forgets it. Whether there was one. The file is replaced as a whole; nobody else can read it at any time."""
        content = self.read()
        had = content.pop(url, None) is not None
        if login:
            content[url] = asdict(login)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp's files have mode 600 from the beginning.
        number, name = tempfile.mkstemp(dir=self.path.parent)
        with os.fdopen(number, "w") as file:
            json.dump(content, file, indent=1)
        Path(name).replace(self.path)
        return had


class StoredToken:
    """The token for a service: ORDERS_TOKEN, or that of the last login, renewed when it has expired or was refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.renewals = 0

    def __call__(self, refused: bool) -> str | None:
        if given := os.environ.get("ORDERS_TOKEN"):
            if not is_token(given):
                raise WrongUse("ORDERS_TOKEN is not a token: it has characters that none may have")
            return None if refused else given
        file = TokenFile()
        login = file.get(self.url)
        if login is None:
            return None
        if not refused and login.expires_at - MARGIN_SECONDS > time.time():
            return login.access_token
        if refused and self.renewals:
            return None
        self.renewals += 1
        renewed = login.renewed()
        if renewed is None:
            # Its refusal by the service says more than this program could.
            return None if refused else login.access_token
        file.put(self.url, renewed)
        return renewed.access_token
