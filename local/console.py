"""What the terminal shows: one tidy line per event, with the name of the function in which it happened."""

import json
import os
import sys
from typing import Any, TextIO

NAME_WIDTH = 17
QUIET_LEVELS = ("DEBUG",)
RESET, DIM, RED, GREEN = "\033[0m", "\033[2m", "\033[31m", "\033[32m"
# What awslambdaric puts into tracebacks instead of line breaks and indentation.
RUNTIME_LINE_BREAK, RUNTIME_INDENT = "\r", "\u00a0"
# What Powertools' Logger adds to every line and a developer at a terminal does not need.
LOGGER_FIELDS = {
    "level",
    "location",
    "message",
    "timestamp",
    "service",
    "exception",
    "exception_name",
    "stack_trace",
    "xray_trace_id",
}


class Console:
    def __init__(self, stream: TextIO | None = None, *, debug: bool = False) -> None:
        self.stream = stream or sys.stdout
        self.debug = debug
        self.colours = self.stream.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def line(self, name: str, text: str, colour: str = "") -> None:
        for part in text.splitlines() or [""]:
            label = self._coloured(f"{name:>{NAME_WIDTH}} │", DIM)
            self.say(f"{label} {self._coloured(part, colour)}")

    def problem(self, name: str, text: str) -> None:
        self.line(name, text, RED)

    def request(self, function: str, method: str, path: str, status: int, milliseconds: float) -> None:
        self.line(function, f"{method} {path} → {status} in {milliseconds:.1f} ms", RED if status >= 500 else GREEN)

    def function_output(self, name: str, text: str) -> None:
        """A line that a function printed: a log record, a metric, a traceback of the runtime, or anything else."""
        record = _json_object(text)
        if record is None:
            self.line(
                name, text.replace(RUNTIME_LINE_BREAK, "\n").replace(RUNTIME_INDENT, " "), RED if "[ERROR]" in text else ""
            )
        elif "_aws" in record:
            if self.debug:
                self.line(name, text, DIM)
        elif self.debug or record.get("level") not in QUIET_LEVELS:
            details = " ".join(f"{key}={value}" for key, value in record.items() if key not in LOGGER_FIELDS)
            colour = RED if record.get("level") in ("ERROR", "CRITICAL") else ""
            self.line(name, f"{record.get('level', '')} {record.get('message', text)} {details}".strip(), colour)
            if "exception" in record:
                self.line(name, str(record["exception"]), RED)

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{RESET}" if colour and self.colours else text


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
