"""The entry point, also as `python -m orders_cli`."""

import gc
import os
import sys


def main() -> None:
    # All that is imported stays until the end: looking through it for garbage takes a seventh of a short command.
    gc.disable()
    # A stream that the caller has closed is None, and the next file or connection would get its number.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    try:
        from orders_cli.app import app  # an interrupt may come while this is imported

        gc.freeze()
        gc.enable()
        app(prog_name="orders")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
