"""Replaces awslambdaric's native module by the standard library, on systems without a wheel for it (macOS, Windows).

AWS's own bootstrap imports a module of this name and calls these four functions; the rest of it runs unchanged.
"""

import http.client
import os

API = "/2018-06-01/runtime/invocation"

_connection: http.client.HTTPConnection | None = None


# ruff: noqa: ARG001 - the native module takes these arguments


def initialize_client(user_agent: str) -> None:
    global _connection
    _connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    _connection.user_agent = user_agent  # type: ignore[attr-defined]


def next() -> tuple[bytes, dict[str, str]]:  # noqa: A001 - the name that awslambdaric calls
    """The next invocation: its event, and the headers that describe it."""
    return _call("GET", f"{API}/next", None, {})


def post_invocation_result(invoke_id: str, result: bytes, content_type: str, invocation_id: str | None = None) -> None:
    _call("POST", f"{API}/{invoke_id}/response", result, {"Content-Type": content_type})


def post_error(invoke_id: str, error: str, xray_cause: str, invocation_id: str | None = None) -> None:
    headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-XRay-Error-Cause": xray_cause}
    _call("POST", f"{API}/{invoke_id}/error", error.encode(), headers)


def _call(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    assert _connection is not None
    _connection.request(method, path, body, {"User-Agent": _connection.user_agent, **headers})  # type: ignore[attr-defined]
    answer = _connection.getresponse()
    data = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"The Runtime API answered {answer.status} to {method} {path}")
    return data, dict(answer.getheaders())
