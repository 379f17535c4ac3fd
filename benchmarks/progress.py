"""A progress bar on a terminal, plain lines elsewhere."""

import sys
import time

WIDTH = 30


class Progress:
    """steps: how many times say() will be called."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = -1
        self.what = ""
        self.start = time.monotonic()
        self.live = sys.stderr.isatty()

    def say(self, what: str) -> None:
        """Starts the next step."""
        self.done += 1
        self.what = what
        self.move()
        if not self.live:
            print(f"{self._share:4.0%} {self._clock}  {what}", file=sys.stderr, flush=True)

    def move(self) -> None:
        """Shows progress within a step."""
        if self.live:
            filled = round(WIDTH * self._share)
            bar = "█" * filled + "░" * (WIDTH - filled)
            print(f"\r\033[K{bar} {self._share:4.0%} {self._clock}  {self.what}", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    @property
    def _share(self) -> float:
        return min(1.0, self.done / self.steps)

    @property
    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        return f"{minutes}:{seconds:02}"
