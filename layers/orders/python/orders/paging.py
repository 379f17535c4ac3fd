"""Keyset pages: a cursor is where the page before ended, bound to the list and the filters it was made for.

It is no secret and gives no right to anything: the checksum keeps a cursor that was cut, altered or used with other filters
from silently giving other rows.
"""

import base64
import binascii
import hashlib
import json

from orders.errors import invalid

CHECKSUM_BYTES = 9
MAX_CURSOR_LENGTH = 200


def encode_cursor(position: list[int], scope: str) -> str:
    """position: the sort keys of the last row of a page. scope: the list's path and filters."""
    payload = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(payload, scope) + payload).rstrip(b"=").decode()


def decode_cursor(cursor: str, scope: str, keys: int) -> list[int]:
    """The position within a cursor that `encode_cursor` made for the same scope; a Problem for any other text."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, payload = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
        position = json.loads(payload) if checksum == _checksum(payload, scope) else None
    except (binascii.Error, ValueError):
        position = None
    if not isinstance(position, list) or len(position) != keys:
        raise invalid("cursor", "is not a cursor of this list with these filters; begin again without one")
    return position


def _checksum(payload: bytes, scope: str) -> bytes:
    return hashlib.blake2b(payload, digest_size=CHECKSUM_BYTES, key=hashlib.sha256(scope.encode()).digest()).digest()
