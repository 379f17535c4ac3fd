"""`python -m benchmarks.console`: how long the console takes to its next page of orders, of 10,000 and of 1,000,000.

Two laptops' clouds, each in a real browser, take turns: scroll to the end of what is there, and wait for the rows that follow.
"""

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.export import fill
from drill.laptop import Laptop
from local.postgres import DATABASE, OWNER, Server
from tests.browser import Browser

NEXT_PAGE = """
const done = arguments[arguments.length - 1];
const last = () => document.querySelector(".rows tbody:last-of-type").dataset.page;
const [before, began] = [last(), performance.now()];
window.scrollTo(0, document.body.scrollHeight);
const look = () => (last() === before ? requestAnimationFrame(look) : done(performance.now() - began));
look();
"""


class Console:
    """A laptop's cloud with so many orders, and a browser that shows them."""

    def __init__(self, stack: ExitStack, folder: Path, orders: int) -> None:
        self.laptop = stack.enter_context(Laptop(folder / "cloud"))
        postgres = folder / "cloud" / "postgres"
        port, password = ((postgres / name).read_text() for name in ("port", "password"))
        fill(Server("127.0.0.1", int(port), DATABASE, OWNER, password), orders)
        self.browser = stack.enter_context(Browser(folder / "browser"))
        self.browser.get(f"{self.laptop.url}/#/orders")
        self.browser.one(".rows tbody:not(.skeleton) tr")

    def next_page(self) -> float:
        """Milliseconds."""
        taken: float = self.browser.execute_async_script(NEXT_PAGE)
        return taken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--pages", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        consoles = {size: Console(stack, folder / str(size), size) for size in options.sizes}
        taken: dict[int, list[float]] = {size: [] for size in consoles}
        for _ in range(options.pages):
            for size, console in consoles.items():
                taken[size].append(console.next_page())
        medians = {size: statistics.median(times) for size, times in taken.items()}
        for size, median in medians.items():
            print(f"{size:>10,} orders: next page in {median:.1f} ms (median of {options.pages})")
        few, many = medians.values()
        print(f"ratio {many / few:.2f}")


if __name__ == "__main__":
    main()
