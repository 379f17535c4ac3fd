"""Keyset pages: a cursor marks where the previous page ended, and is bound to the list and filters it was created for.

It is neither secret nor a permission: its checksum only keeps a cursor that was cut, altered or used with other filters from
silently returning the wrong rows.
"""

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from orders.errors import invalid
from orders.limits import MAX_BIGINT
from orders.responses import Response, json_response

if TYPE_CHECKING:
    from orders.connection import Row
    from orders.requests import Request

CHECKSUM_BYTES = 9
# A Lambda response has at most 6 MB, measured after the runtime client has escaped the page inside its own JSON.
MAX_PAGE_BYTES = 4_000_000
# An emoji is escaped as a surrogate pair.
MAX_ESCAPED_BYTES = len(r"\ud83d\ude00")


def page(request: "Request", rows: "list[Row]", limit: int, *, kept: list[int] | None = None) -> Response:
    """A page of a list, which ends early if its rows are large.

    rows: up to limit + 1, each its sort keys and then its document as JSON text. A last one without a document says how far
    was searched where that is not the end of the list; then the next page goes on from there.
    kept: of a list that grows at its end, the keys after which the page begins; the last page has a next_cursor, too, from
    which to go on later.
    """
    searched = rows.pop()[:-1] if rows and rows[-1][-1] is None else None
    count = min(limit, _fitting(rows))
    following = None
    position = rows[count - 1][:-1] if len(rows) > count else searched
    more = position is not None
    if position is None and kept is not None:
        position = rows[-1][:-1] if rows else kept
    cursor = None if position is None else encode_cursor(position, request.list_scope)
    if more:
        query = [pair for pair in request.query() if pair[0] != "cursor"] + [("cursor", cursor)]
        following = f"{request.base_url}{request.path}/?{urlencode(query)}"
    results = ",".join([row[-1] for row in rows[:count]])
    return json_response(f'{{"results":[{results}],"next":{json.dumps(following)},"next_cursor":{json.dumps(cursor)}}}')


def _fitting(rows: "list[Row]") -> int:
    """How many of the rows fit into a response; at least one, since a single document always does."""
    if sum([len(row[-1]) for row in rows]) * MAX_ESCAPED_BYTES <= MAX_PAGE_BYTES:
        return len(rows)
    used = 0
    for position, row in enumerate(rows):
        used += len(json.dumps(row[-1]))
        if used > MAX_PAGE_BYTES and position:
            return position
    return len(rows)


def page_start(request: "Request", cursor: str | None, first: list[int]) -> list[int]:
    """The sort keys after which a page begins. first: keys that sort before every row."""
    return first if cursor is None else decode_cursor(cursor, request.list_scope, len(first))


def encode_cursor(position: list[int], scope: str) -> str:
    """position: the sort keys of the last row of a page. scope: the list's path and filters."""
    payload = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(payload, scope) + payload).rstrip(b"=").decode()


def decode_cursor(cursor: str, scope: str, keys: int) -> list[int]:
    """The position in a cursor for the same scope; a Problem for any other text.

    A client can compute the checksum itself, so a right one says nothing about what the position holds.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, payload = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
        position = json.loads(payload) if checksum == _checksum(payload, scope) else None
    except (binascii.Error, ValueError):
        position = None
    if not isinstance(position, list) or len(position) != keys or not all(map(_is_sort_key, position)):
        raise invalid("cursor", "is not a cursor of this list with these filters; start again without one")
    return position


def _is_sort_key(value: object) -> bool:
    # In Python, True is an integer as well.
    return type(value) is int and abs(value) <= MAX_BIGINT


def _checksum(payload: bytes, scope: str) -> bytes:
    return hashlib.blake2b(payload, digest_size=CHECKSUM_BYTES, key=hashlib.sha256(scope.encode()).digest()).digest()
