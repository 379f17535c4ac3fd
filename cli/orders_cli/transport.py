"""HTTP with what the standard library has: connections with checked certificates, timeouts, and the environment's proxy."""

import base64
import json
import os
import ssl
import zlib
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from orders_cli.errors import Unreachable, WrongUse, failure_of

CONNECT_SECONDS = 10
# API Gateway gives up after 30.
ANSWER_SECONDS = 35
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PIECE_BYTES = 256 * 1024
GZIP = 16 + zlib.MAX_WBITS


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def split(url: str) -> SplitResult:
    """Raises WrongUse unless it is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        # A terminal will show it, a browser may be given it, and a request line ends a path at a space.
        valid = valid and url.isprintable() and target(parts).isascii() and " " not in url
        # As the look-up of the host does: a name may have empty parts, or one that is too long.
        (parts.hostname or "").encode("idna")
    except ValueError:
        valid = False
    if not valid:
        raise WrongUse(f"{url!r} is not the URL of a service, such as https://orders.example.com")
    return parts


def is_private(url: SplitResult) -> bool:
    """Whether nobody on the way can read what is sent there."""
    return url.scheme == "https" or url.hostname in LOOPBACK


def connect(url: SplitResult) -> HTTPConnection:
    """A connection that is made already. Raises OSError, of which ssl.SSLError is one."""
    host, port = url.hostname or "", url.port
    proxy = _proxy(url)
    at = (proxy.hostname or "", proxy.port) if proxy else (host, port)
    connection: HTTPConnection
    if url.scheme == "https":
        connection = HTTPSConnection(*at, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
    else:
        connection = HTTPConnection(*at, timeout=CONNECT_SECONDS)
    if proxy:
        user = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}".encode()
        sign_in = {"Proxy-Authorization": f"Basic {base64.b64encode(user).decode()}"} if proxy.username else {}
        connection.set_tunnel(host, port, sign_in)
    connection.connect()
    connection.sock.settimeout(ANSWER_SECONDS)
    return connection


def _proxy(url: SplitResult) -> SplitResult | None:
    if url.hostname in LOOPBACK or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # costs more than all else here

    proxy = getproxies().get(url.scheme)
    return split(proxy) if proxy and not proxy_bypass(url.hostname or "") else None


def target(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def read(response: HTTPResponse) -> Answer:
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def once(method: str, url: str, headers: Mapping[str, str], data: bytes | None = None) -> Answer:
    """One request on a connection of its own, without retries. Raises Unreachable."""
    parts = split(url)
    try:
        connection = connect(parts)
        try:
            connection.request(method, target(parts), data, dict(headers))
            return read(connection.getresponse())
        finally:
            connection.close()
    except (OSError, HTTPException) as reason:
        raise unreachable(parts, reason) from reason


def download(url: str, file: "IO[bytes] | Unpacked", progress: Callable[[int], None]) -> int:
    """Writes what a link answers, which nobody needs a token for. How many bytes. Raises Unreachable, Refused, Unavailable.

    progress: is told how many bytes have arrived.
    """
    parts = split(url)
    try:
        connection = connect(parts)
        try:
            connection.request("GET", target(parts))
            response = connection.getresponse()
            if response.status != 200:
                raise failure_of(response.status, None, None, "GET", parts.path)
            count = 0
            while piece := response.read1(PIECE_BYTES):
                count += write(file, piece)
                progress(count)
            if response.length:
                raise HTTPException(f"the connection ended {response.length} bytes too early")
            return count
        finally:
            connection.close()
    except CannotWrite as reason:
        raise reason.error from reason
    except (OSError, HTTPException) as reason:
        raise unreachable(parts, reason) from reason


def download_unpacked(url: str, file: IO[bytes], progress: Callable[[int], None]) -> int:
    """The same for a link to a gzip file, which may consist of several. How many bytes were written."""
    unpacked = Unpacked(file)
    download(url, unpacked, progress)
    if not unpacked.complete:
        raise unreachable(split(url), HTTPException("the file ends too early"))
    return unpacked.count


class Unpacked:
    """Writes what it is given to a file, without the compression."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.count = 0
        self.decompressor = zlib.decompressobj(GZIP)
        self.complete = False

    def write(self, data: bytes) -> int:
        rest = data
        try:
            while rest:
                if self.complete:
                    self.decompressor = zlib.decompressobj(GZIP)
                self.count += self.file.write(self.decompressor.decompress(rest))
                rest, self.complete = self.decompressor.unused_data, self.decompressor.eof
        except zlib.error as error:
            raise HTTPException("the file is damaged") from error
        return len(data)


class CannotWrite(Exception):
    """Our own file fails, not the connection; both raise OSError."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def write(file: "IO[bytes] | Unpacked", piece: bytes) -> int:
    try:
        return file.write(piece)
    except OSError as error:
        raise CannotWrite(error) from error


def unreachable(url: SplitResult, reason: Exception) -> Unreachable:
    where = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unreachable(
            f"The certificate of {where} is not trusted",
            reason.verify_message,
            "SSL_CERT_FILE can name the certificates of an authority of your own.",
        )
    text = "it did not answer in time" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
    details = [text]
    if isinstance(reason, ConnectionRefusedError) and url.hostname in LOOPBACK:
        details.append("`make run` starts the service on this machine; --url or ORDERS_URL names another one.")
    return Unreachable(f"{where} cannot be reached", *details)
