"""Files that ship with the code. Without pathlib, whose import alone takes a tenth of a cold start."""

import os


def read_beside(python_file: str, name: str) -> str:
    """The text of a file that stands in the same folder as a Python file."""
    with open(os.path.join(os.path.dirname(python_file), name), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123
        return file.read()
