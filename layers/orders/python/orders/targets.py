"""Where webhooks may go: to public addresses only, since whoever creates one must not reach into a network through us."""

import ipaddress
import os
from urllib.parse import SplitResult, urlsplit

# Given on the laptop only, whose receivers are at private addresses and have no certificates.
ANYWHERE = os.environ.get("WEBHOOKS_TO_ANYWHERE") == "1"
# A well-known port may belong to a service that mistakes a request for its own protocol.
FIRST_OTHER_PORT = 1024
# Where the interpreter's own tables differ between releases, or take a tunnel for a public address.
REFUSED_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "2001::/23", "2002::/16", "3fff::/20")
]
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class BadTarget(ValueError):
    """The message says why nothing is sent there."""


def parse(url: str) -> SplitResult:
    """Raises BadTarget for a URL to which nothing would be sent, as far as that can be said without resolving its name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadTarget("is not a URL") from None
    if not url.isascii() or any(not "!" <= character <= "~" for character in url) or "\\" in url:
        raise BadTarget("must have visible ASCII characters only, as a browser sends it")
    if parts.scheme != "https" and not (ANYWHERE and parts.scheme == "http"):
        raise BadTarget("must begin with https://")
    if not parts.hostname:
        raise BadTarget("must name a host")
    if "@" in parts.netloc or parts.fragment:
        raise BadTarget("must have no user name, password or fragment")
    if not ANYWHERE:
        _check_public(parts.hostname.rstrip("."), port)
    return parts


def _check_public(host: str, port: int | None) -> None:
    if port not in (None, 443) and port < FIRST_OTHER_PORT:
        raise BadTarget("must have port 443, or one above 1023")
    local = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    if local or ("." not in host and ":" not in host):
        raise BadTarget("must name a public host")
    if is_number(host):
        # Resolvers take 127.1, 0x7f000001 and 2130706433 for addresses as well.
        try:
            check_address(host)
        except ValueError:
            raise BadTarget("must name a public host") from None


def is_number(host: str) -> bool:
    last = host.rpartition(".")[2]
    return ":" in host or last.isdigit() or last.startswith("0x")


def check_address(text: str) -> None:
    """Raises BadTarget unless the address is one of the public internet."""
    address = ipaddress.ip_address(text.partition("%")[0])
    public = address.is_global and not (address.is_multicast or address.is_reserved)
    # Of IPv6, only what has been given out: outside of that are the mapped, translated and local forms.
    if isinstance(address, ipaddress.IPv6Address):
        public = public and address in GLOBAL_UNICAST
    if not public or any(address in network for network in REFUSED_NETWORKS):
        raise BadTarget(f"{address} is no public address")
