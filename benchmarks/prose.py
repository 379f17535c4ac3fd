"""Tables of the committed runs in documents that are otherwise written by hand."""

import re


def replace_table(text: str, name: str, table: str) -> str:
    """The document, with the table between the comments of its name replaced."""
    between = re.compile(rf"(<!-- {name}: made by `make bench` -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = between.subn(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"The document has {count} places for the table {name!r}.")
    return replaced
