"""The shapes of a write: creating under an idempotency key, and changing an order or a customer.

Each is usually a single statement. The reason for a refusal is looked up only afterwards.
"""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from orders import database
from orders.connection import Row
from orders.driver import DatabaseError
from orders.errors import DatabaseUnavailable, Problem, invalid, not_found
from orders.requests import Request
from orders.responses import Response, if_match_tags, json_response

MAX_KEY_LENGTH = 255
# Each lost race means that another change went through, so losing this many in a row takes that many other writers.
CHANGE_ATTEMPTS = 100
RESERVED_DOMAIN = "@erased.invalid"

STORED_ANSWER = """
SELECT request_hash, location, etag, body
FROM idempotency_keys
WHERE caller = :caller AND path = :path AND key = :key
"""
TRANSITION = database.load_sql(__file__, "transition_order.sql")
ORDER = """
SELECT status, allowed_actions(status), etag, document::text, ARRAY(SELECT id FROM order_items WHERE order_id = o.id)
FROM order_documents AS o
WHERE id = :order_id
"""
CUSTOMER = database.load_sql(__file__, "customer_state.sql")


def create(
    request: Request,
    sql: str,
    body: Mapping[str, Any],
    idempotency_key: str | None,
    *,
    status: int = 201,
    **params: Any,
) -> Response | None:
    """201 (or status) with what the statement created, or the first answer again; None if it created nothing.

    The statement gets caller, path, key and request_hash besides params, stores its answer in idempotency_keys if key is not
    null, and returns one row: location, etag, body. If the key already exists, the whole statement fails.
    """
    key = _unquoted(idempotency_key)
    identity: dict[str, Any] = {"caller": request.caller or "", "path": request.path, "key": key}
    request_hash = body_hash(body)
    try:
        rows = database.run(sql, repeatable=key is not None, **identity, request_hash=request_hash, **params)
    except DatabaseError:
        # The key may have been used before; then it does not matter what the statement ran into first.
        if key is None or not (stored := database.run(STORED_ANSWER, repeatable=True, **identity)):
            raise
        return _replay(stored[0], request_hash, status)
    if rows:
        location, etag, text = rows[0]
        return json_response(text, status=status, etag=etag, Location=location)
    if key is not None and (stored := database.run(STORED_ANSWER, repeatable=True, **identity)):
        return _replay(stored[0], request_hash, status)
    return None


class OrderState(NamedTuple):
    status: str
    allowed_actions: list[str]
    etag: str
    body: str
    item_ids: list[int]


def change_order(
    order_id: int,
    if_match: str | None,
    attempt: Callable[[], Response | None],
    explain: Callable[[OrderState], Response | None],
    *,
    becomes: str | None = None,
) -> Response:
    """Changes an order with one statement, which expects the order to be as it was when the statement began.

    attempt runs the statement and returns None if it changed nothing. An order that already has the status `becomes` is
    returned whatever its ETag: a client that missed the answer to its own request retries with the earlier tag. Otherwise
    explain gets the order as it is now and raises a Problem, or returns the answer if there is nothing to change, or None if
    nothing prevents the change: another writer was faster, and the statement is tried again.
    """
    expected = if_match_tags(if_match)
    for _ in range(CHANGE_ATTEMPTS):
        if response := attempt():
            return response
        rows = database.run(ORDER, repeatable=True, order_id=order_id)
        if not rows:
            raise not_found("order", order_id)
        order = OrderState(*rows[0])
        if order.status == becomes:
            return json_response(order.body, etag=order.etag)
        if expected is not None and order.etag not in expected:
            raise Problem(412, f"The order's ETag is {order.etag} now.")
        if response := explain(order):
            return response
    raise DatabaseUnavailable("Too many others are changing this order.")


class CustomerState(NamedTuple):
    etag: str
    body: str
    erased: bool
    has_orders: bool


def change_customer(
    customer_id: int,
    if_match: str | None,
    attempt: Callable[[], Response | None],
    explain: Callable[[CustomerState], Response | None],
) -> Response:
    """As change_order. explain may also return what to answer instead of the change."""
    expected = if_match_tags(if_match)
    for _ in range(CHANGE_ATTEMPTS):
        if response := attempt():
            return response
        rows = database.run(CUSTOMER, repeatable=True, customer_id=customer_id)
        if not rows:
            raise not_found("customer", customer_id)
        customer = CustomerState(*rows[0])
        if expected is not None and customer.etag not in expected:
            raise Problem(412, f"The customer's ETag is {customer.etag} now.")
        if answer := explain(customer):
            return answer
    raise DatabaseUnavailable("Too many others are changing this customer.")


def is_so_already(document: str, change: Mapping[str, Any]) -> bool:
    """Whether a change of some fields, of which metadata are merged, would leave a document as it is."""
    known = json.loads(document)
    wanted = {field: value for field, value in change.items() if field != "metadata"}
    merged = change.get("metadata", {})
    return wanted.items() <= known.items() and all(known["metadata"].get(key) == value for key, value in merged.items())


def refuse_reserved_address(email: str | None) -> None:
    """Who has the address that stands for an erased one counts as erased. The table lets each customer have their own."""
    if email is not None and email.lower().endswith(RESERVED_DOMAIN):
        raise invalid("email", "stands for an address that was erased")


def transition_order(
    request: Request, order_id: int, if_match: str | None, *, action: str, becomes: str, reason: str | None = None
) -> Response:
    """The order after the action, even if it had already happened. 409 if the order's status does not allow it.

    reason: what the event says beside what changed.
    """

    def attempt() -> Response | None:
        rows = database.run(
            TRANSITION,
            # The second time it finds that it has already happened, and says so.
            repeatable=True,
            order_id=order_id,
            action=action,
            becomes=becomes,
            reason=reason,
            if_match=if_match_tags(if_match),
            actor=request.caller,
            request_id=request.request_id,
        )
        return json_response(rows[0][1], etag=rows[0][0]) if rows else None

    def explain(order: OrderState) -> None:
        if action not in order.allowed_actions:
            raise status_conflict(order)

    return change_order(order_id, if_match, attempt, explain, becomes=becomes)


def status_conflict(order: OrderState) -> Problem:
    return Problem(409, f"The order is {order.status}; allowed now: {', '.join(order.allowed_actions) or 'nothing'}.")


def refuse_unless_pending(order: OrderState) -> None:
    if order.status != "pending":
        raise Problem(409, f"The order is {order.status}; its items can change only while it is pending.")


def body_hash(body: Mapping[str, Any]) -> str:
    """Equal for bodies that mean the same, however they are written."""
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _unquoted(header: str | None) -> str | None:
    """The key of an Idempotency-Key header; the IETF draft quotes it, most clients do not."""
    if header is None:
        return None
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise invalid("Idempotency-Key", f"must have 1 to {MAX_KEY_LENGTH} characters")
    return key


def _replay(stored: Row, request_hash: str, status: int) -> Response:
    stored_hash, location, etag, body = stored
    if stored_hash != request_hash:
        raise invalid("Idempotency-Key", "was used with another body")
    return json_response(body, status=status, etag=etag, Location=location, **{"Idempotency-Replayed": "true"})
