"""What a client gets when a request is refused: RFC 9457 problem documents.

    Problem                     any refusal: status, type, title, detail, errors, headers
    └── DatabaseUnavailable     503 with Retry-After

A handler raises a Problem; api.py turns it, and what PostgreSQL refuses, into a response.
"""

import json
from typing import Any

from orders.driver import DatabaseError

RETRY_AFTER_SECONDS = 1
# A body can contain tens of thousands of errors, each with a name as long as the body. The response must not grow with them.
MAX_ERRORS = 20
MAX_FIELD_LENGTH = 100

# status → (type, title). `type` is a relative reference that names the kind of problem and never changes.
KINDS = {
    400: ("malformed", "Malformed request"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not found"),
    409: ("conflict", "Conflict with the current state"),
    412: ("precondition-failed", "Precondition failed"),
    413: ("too-large", "Body too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
    422: ("invalid", "Invalid request"),
    503: ("unavailable", "Service unavailable"),
}

# What a refusal by PostgreSQL means to a client. A SQLSTATE that is not listed is a bug of ours: 500, and somebody is paged.
SQLSTATES: dict[str, tuple[int, str]] = {
    # numeric_value_out_of_range: only a sum can be, since inputs are bounded
    "22003": (422, "A total would exceed the range of 64-bit integers."),
    "22021": (422, "A string contains a character that cannot be stored."),  # character_not_in_repertoire: NUL
    "22P02": (422, "A value does not have its field's type."),  # invalid_text_representation
    "22P05": (422, "A string contains a character that cannot be stored."),  # untranslatable_character: NUL as \\u0000
    "23001": (409, "It is still referenced."),  # restrict_violation: PostgreSQL 18's name for 23503 on delete
    "23503": (409, "It refers to something that does not exist, or is still referenced."),  # foreign_key_violation
    "23505": (409, "It already exists."),  # unique_violation
    "23514": (422, "A value is outside its field's range."),  # check_violation
    "25006": (503, "The database is read-only right now."),  # read_only_sql_transaction: in the middle of a failover
    "40001": (503, "The database is busy."),  # serialization_failure, after the retries
    "40P01": (503, "The database is busy."),  # deadlock_detected, after the retries
    "53100": (503, "The database is full."),  # disk_full
    "53200": (503, "The database is busy."),  # out_of_memory
    "53300": (503, "The database is busy."),  # too_many_connections
    "55P03": (503, "The database is busy."),  # lock_not_available: lock_timeout, after the retries
    "57014": (503, "The database took too long."),  # query_canceled: statement_timeout
    "57P01": (503, "The database is restarting."),  # admin_shutdown
    "57P02": (503, "The database is restarting."),  # crash_shutdown
    "57P03": (503, "The database is restarting."),  # cannot_connect_now
}

# Where the constraint says more than the SQLSTATE. The migrations define each name.
CONSTRAINTS = {
    "customers_email_not_reserved": "Addresses at erased.invalid stand for erased ones.",
    "customers_email_key": "A customer with this e-mail address already exists.",
    "customers_metadata_limit": "The customer's metadata would have more than 20 keys.",
    "customer_totals_spent_limit": "The customer's orders would total more than 9,007,199,254,740,991 cents.",
    "orders_customer_fkey": "The customer has orders, or has just been deleted.",
    "orders_item_count_limit": "An order holds at most 500 items.",
    "orders_metadata_limit": "The order's metadata would have more than 20 keys.",
    "orders_total_limit": "The order would total more than 9,007,199,254,740,991 cents.",
}
# The change is valid by itself, but there is too much already.
FULL = {"customers_metadata_limit", "orders_metadata_limit"}


class Problem(Exception):
    """A refusal that the client is told the reason for.

    errors: one entry per wrong input, `field` as a dotted path into the body, or the parameter's name. The client gets the
    first MAX_ERRORS.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [entry | {"field": shortened(entry["field"])} for entry in (errors or [])[:MAX_ERRORS]]
        self.headers = headers or {}

    def body(self) -> str:
        kind, title = KINDS[self.status]
        document: dict[str, Any] = {
            "type": f"/problems/{kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return json.dumps(document, separators=(",", ":"))


class DatabaseUnavailable(Problem):
    """The database cannot be reached or did not answer in time; it may be unknown whether a change was made."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def invalid(field: str, message: str) -> Problem:
    return all_invalid([{"field": field, "message": message}])


def all_invalid(errors: list[dict[str, str]]) -> Problem:
    """One 422 for several invalid inputs; its detail names the first."""
    return Problem(422, f"{shortened(errors[0]['field'])}: {errors[0]['message']}", errors)


def shortened(name: str) -> str:
    return name if len(name) <= MAX_FIELD_LENGTH else name[: MAX_FIELD_LENGTH - 1] + "…"


def not_found(what: str, identifier: object) -> Problem:
    return Problem(404, f"There is no {what} {identifier}.")


def sqlstate(error: DatabaseError) -> str:
    return _fields(error).get("C", "")


def violated_constraint(error: DatabaseError) -> str:
    """The name of the constraint that refused the statement, or nothing."""
    return _fields(error).get("n", "")


def from_database(error: DatabaseError) -> Problem | None:
    """What a refusal by PostgreSQL means to the client, or None if the bug is ours."""
    if sqlstate(error) not in SQLSTATES:
        return None
    status, detail = SQLSTATES[sqlstate(error)]
    if status == 503:
        return DatabaseUnavailable(detail)
    constraint = violated_constraint(error)
    return Problem(409 if constraint in FULL else status, CONSTRAINTS.get(constraint, detail))


def _fields(error: DatabaseError) -> dict[str, str]:
    fields = error.args[0] if error.args else {}
    return fields if isinstance(fields, dict) else {}
