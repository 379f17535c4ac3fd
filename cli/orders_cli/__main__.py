"""The entry point, also as `python -m orders_cli`."""

import sys


def main() -> None:
    try:
        from orders_cli.app import app  # an interrupt may come while this is imported

        app(prog_name="orders")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
