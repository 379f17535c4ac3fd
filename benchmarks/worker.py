"""Calls handlers as Lambda would, in its own process: a script for any Python, which imports nothing from the benchmark.

`worker.py NAME=FOLDER…`, each folder with a handler.py. Reads one JSON message per line and writes one per line:
    {"function": NAME, "event": {…}}                    → {"seconds": s, "answer": {…}}
        "timeout": t besides is the time that an invocation has; 30 s otherwise, whenever it is asked.
    {"events": [{"function": NAME, "event": {…}}, …]}   → {"seconds": s, "cpu_seconds": c, "failed": n}, without the answers
The first message for a function imports it, and that message's seconds include the import: a cold start.
"""

import json
import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:bench"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self, timeout: float | None = None) -> None:
        self.end = timeout and time.monotonic() + timeout

    def get_remaining_time_in_millis(self) -> int:
        # Enough for any of them, and too little for the relay to wait for further messages.
        return 30_000 if self.end is None else int((self.end - time.monotonic()) * 1000)


folders = dict(argument.split("=", 1) for argument in sys.argv[1:])
handlers: dict[str, Any] = {}


def call(message: dict[str, Any]) -> Any:
    name = message["function"]
    if name not in handlers:
        handlers[name] = load(name)
    return handlers[name](message["event"], Context(message.get("timeout")))


def load(name: str) -> Any:
    """The handler, whose module gets its own name so that one process can hold several functions."""
    sys.path.insert(0, folders[name])
    spec = spec_from_file_location(f"{name}_handler", Path(folders[name]) / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def answer(message: dict[str, Any]) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    if "events" not in message:
        given = call(message)
        return {"seconds": time.perf_counter() - start, "answer": given}
    failed = sum(call(each)["statusCode"] >= 300 for each in message["events"])
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu, "failed": failed}


def main() -> None:
    # Whatever a handler prints, metrics and logs, goes to stderr.
    reports = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=reports, flush=True)


if __name__ == "__main__":
    main()
