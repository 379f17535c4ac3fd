"""Who may speak to a server on this machine: programs, and pages that belong to it; any page in a browser can send it requests.

Programs say nothing about where they come from, and are served. A browser tells, and no script can change it: the host that
it believes to speak to (the page's own name, where a page had that rebound to 127.0.0.1), the page's origin, and how page and
server are related.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK_ORIGINS = tuple(f"http://{name}:*" for name in LOOPBACK_NAMES)
HTTP_PORT = 80


@dataclass(frozen=True)
class Guard:
    """hosts: what the server is called, `name:port` or, for any port, `name`. origins: of pages elsewhere that may use it."""

    hosts: frozenset[str]
    origins: tuple[str, ...] = ()

    @classmethod
    def of_port(cls, port: int, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> "Guard":
        """For a server on 127.0.0.1. hosts: names besides those of the machine itself."""
        own = [f"{name}:{port}" for name in LOOPBACK_NAMES] + [name for name in LOOPBACK_NAMES if port == HTTP_PORT]
        return cls(frozenset([*own, *hosts]), tuple(origins))

    def refusal(self, method: str, header: Callable[[str], str | None]) -> str | None:
        """Why a request is not served, for the person at the terminal. header: gives a value by the lower-case name."""
        host, origin = (header("host") or "").lower(), header("origin")
        if not {host, _without_port(host)} & self.hosts:
            return f"{host!r} is no name of this server"
        if origin is not None:
            own = origin in (f"http://{host}", f"https://{host}")
            return None if own or self.allows(origin) else f"a page of {origin!r} asked"
        if header("sec-fetch-site") in ("cross-site", "same-site") and not _is_navigation(method, header):
            return "a page of another origin asked"
        return None

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may call; `:*` at the end of an allowed one stands for any port."""
        return origin in self.origins or f"{_without_port(origin)}:*" in self.origins


def _without_port(address: str) -> str:
    name, _, port = address.rpartition(":")
    return name if port.isdecimal() else address


def _is_navigation(method: str, header: Callable[[str], str | None]) -> bool:
    """A link that somebody followed, to the documentation for instance: it changes nothing, and its page reads nothing."""
    return method == "GET" and (header("sec-fetch-mode"), header("sec-fetch-dest")) == ("navigate", "document")
