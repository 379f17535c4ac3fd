"""Who may talk to a server on this machine: programs, and pages that belong to it. Any page in a browser can send requests.

Programs do not tell where they come from, and are served. A browser tells, and no script can change it: the host that
it believes it is talking to (the page's own name, if that was rebound to 127.0.0.1), the page's origin, and how page and
server are related.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK_ORIGINS = tuple(f"http://{name}:*" for name in LOOPBACK_NAMES)
HTTP_PORT = 80


@dataclass(frozen=True)
class Guard:
    """hosts: names of the server, `name:port` or, for any port, `name`. origins: of foreign pages that may use it."""

    hosts: frozenset[str]
    origins: tuple[str, ...] = ()

    @classmethod
    def of_port(cls, port: int, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> "Guard":
        """For a server on 127.0.0.1. hosts: names in addition to those of the machine itself."""
        own = [f"{name}:{port}" for name in LOOPBACK_NAMES] + [name for name in LOOPBACK_NAMES if port == HTTP_PORT]
        return cls(frozenset([*own, *hosts]), tuple(origins))

    def refusal(self, method: str, header: Callable[[str], str | None]) -> str | None:
        """Why a request is refused, as shown at the terminal; None if it is served. header: a value by its lower-case name."""
        host, origin = (header("host") or "").lower(), header("origin")
        if not {host, _without_port(host)} & self.hosts:
            return f"{host!r} is not a name of this server"
        if origin is not None:
            own = origin in (f"http://{host}", f"https://{host}")
            return None if own or self.allows(origin) else f"sent by a page of {origin!r}"
        if header("sec-fetch-site") in ("cross-site", "same-site") and not _is_navigation(method, header):
            return "sent by a page of another origin"
        return None

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may call; `:*` at the end of an allowed origin stands for any port."""
        return origin in self.origins or f"{_without_port(origin)}:*" in self.origins


def _without_port(address: str) -> str:
    name, _, port = address.rpartition(":")
    return name if port.isdecimal() else address


def _is_navigation(method: str, header: Callable[[str], str | None]) -> bool:
    """Somebody followed a link, to the documentation for instance: it changes nothing, and the linking page reads nothing."""
    return method == "GET" and (header("sec-fetch-mode"), header("sec-fetch-dest")) == ("navigate", "document")
