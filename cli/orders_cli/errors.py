"""How a command can end other than well. Each kind has an exit code, so that a script can tell them apart.

Failure
├── Refused        the service answered: no
├── WrongUse       the command line is wrong
├── Unreachable    no answer
├── Unauthorized   no token, a wrong one, or one without the scope
├── Unavailable    the service answered: not now
└── Unsuccessful   what was asked for ended without success
"""

import os
from typing import Any

# The only place where they stand: `orders --help` and docs/cli.md are made from it.
EXIT_CODES = {
    0: "done",
    1: "the service refused the request: not found, a conflict, invalid input",
    2: "the command line is wrong",
    3: "the service cannot be reached, or its certificate is not trusted",
    4: "not authorized: sign in with `orders login`, or ask for the scope",
    5: "the service cannot answer now (429 or 5xx), also after the retries",
    6: "what was asked for did not come about: a seed run or an export failed or was cancelled",
    130: "interrupted with Ctrl-C",
    141: "whoever read the output has closed it",
}


class Failure(Exception):
    """title: one sentence in plain words. details: further lines. document: what a program can read about it."""

    code = 1

    def __init__(self, title: str, *details: str, document: dict[str, Any] | None = None) -> None:
        super().__init__(title)
        self.title = title
        self.details = details
        self.document = document or {"title": title, **({"detail": "\n".join(details)} if details else {})}


class Refused(Failure):
    code = 1


class WrongUse(Failure):
    code = 2


class Unreachable(Failure):
    code = 3


class Unauthorized(Failure):
    code = 4


class Unavailable(Failure):
    code = 5


class Unsuccessful(Failure):
    code = 6


def failure_of(status: int, document: Any, request_id: str | None, method: str, path: str) -> Failure:
    """Of an answer that is not a success: the service's problem document, the gateway's `{"message"}`, or anything else."""
    problem = document if isinstance(document, dict) else {}
    kind: type[Failure] = Refused
    details: list[str] = []
    if status in (401, 403):
        kind = Unauthorized
        if status == 403:
            details.append("The token lacks the scope that this needs.")
        elif os.environ.get("ORDERS_TOKEN"):
            details.append("The token in ORDERS_TOKEN is not valid (any more); without it, that of `orders login` is sent.")
        else:
            details.append("`orders login` gets a token.")
    elif status == 429 or status >= 500:
        kind = Unavailable
    elif status == 404 and "message" in problem:
        details.append(f"The service has no {method} {path}: is the URL right, and is this release of the service new enough?")
    elif 300 <= status < 400:
        details.append("It redirects, which is not followed: give the URL that it redirects to.")
    title = str(problem.get("title") or problem.get("message") or "The service answered something unexpected")
    if problem.get("detail") and not problem.get("errors"):
        details.insert(0, str(problem["detail"]))
    errors = problem.get("errors")
    details += map(_text_of_error, errors if isinstance(errors, list) else [])
    if request_id:
        details.append(f"request id: {request_id}")
    return kind(f"{title} ({status})", *details, document={**problem, "status": status, "request_id": request_id})


def _text_of_error(error: Any) -> str:
    return f"{error.get('field')}: {error.get('message')}" if isinstance(error, dict) else str(error)
