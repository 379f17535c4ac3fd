"""The entry point, also as `python -m orders_cli`."""

import gc
import sys


def main() -> None:
    # All that is imported stays until the end: looking through it for garbage takes a seventh of a short command.
    gc.disable()
    try:
        from orders_cli.app import app  # an interrupt may come while this is imported

        gc.freeze()
        gc.enable()
        app(prog_name="orders")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
