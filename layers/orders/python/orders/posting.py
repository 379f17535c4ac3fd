"""One POST to somebody else's server: bounded in time and size, to an address that was checked, and without redirects."""

import os
import select
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import SplitResult

from orders import targets
from orders.targets import BadTarget

SECONDS = 10.0
SECONDS_TO_CONNECT = 4.0
ANSWER_BYTES = 1024
USER_AGENT = "Orders-Webhooks/1"
# Later the address may be another's, and many servers have closed an idle connection. A function sends ten messages at once.
SECONDS_KEPT, MOST_KEPT = 20, 40
# Of an exception that several fit, the first counts.
FAILURES: dict[type[Exception], str] = {
    socket.gaierror: "the name of the host could not be resolved",
    ConnectionRefusedError: "the connection was refused",
    TimeoutError: f"no connection within {SECONDS_TO_CONNECT:g} seconds",
    ConnectionError: "the connection was closed",
    ssl.SSLError: "TLS could not be agreed on",
    HTTPException: "what came is not HTTP",
}


# Scheme, host and port.
Place = tuple[str, str, int]


class Kept:
    """Connections that were used and can be again, to the very address that was checked for their host. Any thread may ask."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connections: list[tuple[float, Place, HTTPConnection]] = []

    def take(self, place: Place) -> HTTPConnection | None:
        """The one that was used last, if its receiver has not closed it."""
        with self.lock:
            self.forget(time.monotonic() - SECONDS_KEPT)
            found = [entry for entry in self.connections if entry[1] == place]
            for entry in reversed(found):
                self.connections.remove(entry)
                if not select.select([entry[2].sock], [], [], 0)[0]:
                    return entry[2]
                entry[2].close()
        return None

    def give(self, place: Place, connection: HTTPConnection) -> None:
        with self.lock:
            self.connections.append((time.monotonic(), place, connection))
            while len(self.connections) > MOST_KEPT:
                self.connections.pop(0)[2].close()

    def forget(self, before: float) -> None:
        """Those that were used last before that time."""
        while self.connections and self.connections[0][0] < before:
            self.connections.pop(0)[2].close()


kept = Kept()


class Outcome(NamedTuple):
    """status_code: null if there was no answer, and then error says why not. retry_after: seconds, as the receiver asked."""

    status_code: int | None
    answer: str | None
    error: str | None
    duration_ms: int
    retry_after: int | None


def post(url: str, headers: dict[str, str], body: bytes, seconds: float = SECONDS) -> Outcome:
    began = time.monotonic()
    status, answer, error, retry_after = None, None, None, None
    try:
        status, answer, retry_after = _post(url, headers, body, began + seconds)
    except BadTarget as reason:
        error = f"Not sent: {reason}"
    except ssl.SSLCertVerificationError as reason:
        error = f"The certificate is not valid: {reason.verify_message}"
    except (OSError, HTTPException, ValueError) as reason:
        late = time.monotonic() - began >= seconds
        error = f"No answer within {seconds:g} seconds" if late else f"No answer: {_in_words(reason)}"
    return Outcome(status, answer, error, int((time.monotonic() - began) * 1000), retry_after)


def _in_words(reason: Exception) -> str:
    """Names no address and no file of ours: whoever may read the deliveries may read this."""
    for kind, words in FAILURES.items():
        if isinstance(reason, kind):
            return words
    return type(reason).__name__


def _post(url: str, headers: dict[str, str], body: bytes, deadline: float) -> tuple[int, str, int | None]:
    target = targets.parse(url)
    place = (target.scheme, target.hostname or "", target.port or _port(target))
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    given = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers}
    if (known := kept.take(place)) is not None:
        # It may have been closed just now. Whether the receiver has got it is then unknown; a second time does no harm.
        with suppress(ConnectionError, ssl.SSLEOFError):
            return _ask(known, place, path, given, body, deadline)
    connection = HTTPConnection(*place[1:])
    # Named in the header Host only where it is another one.
    connection.default_port = _port(target)
    # It would resolve the name by itself, and check nothing.
    connection.auto_open = 0
    connection.sock = _connect(target, deadline)
    return _ask(connection, place, path, given, body, deadline)


def _ask(
    connection: HTTPConnection, place: Place, path: str, headers: dict[str, str], body: bytes, deadline: float
) -> tuple[int, str, int | None]:
    left = max(0.001, deadline - time.monotonic())
    connection.sock.settimeout(left)
    # A socket's own timeout begins anew with each byte, so this ends a receiver that sends them one by one.
    watchdog = threading.Timer(left, _shut, [connection.sock])
    watchdog.daemon = True
    watchdog.start()
    again = False
    try:
        if isinstance(connection.sock, ssl.SSLSocket):
            # Does nothing where it has been done.
            connection.sock.do_handshake()
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = _read(response)
        # Unless it is to be closed, or has more to say.
        again = connection.sock is not None and response.isclosed()
        retry_after = response.getheader("Retry-After", "")
        # NUL cannot be stored.
        text = answer.decode("utf-8", "replace").replace("\x00", "�")
        return response.status, text, int(retry_after[:9]) if retry_after.isascii() and retry_after.isdecimal() else None
    finally:
        watchdog.cancel()
        if again:
            kept.give(place, connection)
        else:
            connection.close()


def _read(response: HTTPResponse) -> bytes:
    """Whatever becomes of the rest: its status came in time, and delivering again would change nothing."""
    try:
        return response.read(ANSWER_BYTES)
    except (OSError, HTTPException):
        return b""


def _connect(target: SplitResult, deadline: float) -> socket.socket:
    """A connection to one of the host's addresses, all of which were checked. Its name is resolved this once."""
    addresses = _resolve(target.hostname or "", target.port or _port(target), deadline)
    failure: OSError = OSError("no address")
    for address in addresses:
        left = min(SECONDS_TO_CONNECT, deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError
        try:
            connected = socket.create_connection(address[:2], timeout=left)
        except OSError as reason:
            failure = reason
            continue
        connected.settimeout(max(0.001, deadline - time.monotonic()))
        if target.scheme == "http":
            return connected
        return tls().wrap_socket(connected, server_hostname=target.hostname, do_handshake_on_connect=False)
    raise failure


def _resolve(host: str, port: int, deadline: float) -> list[tuple[str, int]]:
    """IPv4 first: Lambda need not have a way to the others. Resolving has no timeout of its own."""
    resolver = ThreadPoolExecutor(1)
    try:
        asked = resolver.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = asked.result(max(0, deadline - time.monotonic()))
    finally:
        resolver.shutdown(wait=False)
    addresses = [(str(address[0]), port) for *_, address in sorted(found, key=lambda one: one[0] != socket.AF_INET)]
    if not targets.ANYWHERE:
        for address, _ in addresses:
            targets.check_address(address)
    return list(dict.fromkeys(addresses))


def _port(target: SplitResult) -> int:
    return 443 if target.scheme == "https" else 80


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        # The plain socket's, which leaves alone what another thread is using of TLS.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


@cache
def tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get("WEBHOOKS_CA_FILE"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
