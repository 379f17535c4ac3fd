"""PostgreSQL's clock, which can jump where libfaketime is installed. Everybody else has the machine's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Longer than the first lease of any work.
JUMP_SECONDS = 90


class Clock:
    """library: libfaketime, or None. environment: what the server is started with; empty if its clock cannot jump.

    ahead: by how many seconds it is wrong. jumps: how often it has been put.
    """

    def __init__(self, folder: Path, library: Path | None) -> None:
        self.file = folder / "clock"
        self.ahead, self.jumps, self.furthest, self.last_jump = 0, 0, 0.0, -float("inf")
        self.environment = (
            {}
            if library is None
            else {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(self.file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._put(0)

    @contextmanager
    def wrong(self, ahead: int) -> Iterator[None]:
        """ahead: by how many seconds; negative if the clock is slow."""
        self._jump(ahead)
        try:
            yield
        finally:
            self.furthest = self.latest()
            self._jump(0)

    def latest(self) -> float:
        """What it may have shown until now, in seconds since 1970."""
        return max(self.furthest, time.time() + max(self.ahead, 0))

    @property
    def doubt(self) -> int:
        """By how many seconds something may seem older than it is, as a jump lies between."""
        return JUMP_SECONDS if time.monotonic() < self.last_jump + JUMP_SECONDS else 0

    def _jump(self, ahead: int) -> None:
        self.jumps += 1
        self.last_jump = time.monotonic()
        self.ahead = ahead
        self._put(ahead)

    def _put(self, ahead: int) -> None:
        # The server reads the file whenever it wants to know the time.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{ahead:+d}\n")
        fresh.replace(self.file)


def libfaketime() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
