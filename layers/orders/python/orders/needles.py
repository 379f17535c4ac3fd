"""Searching e-mail addresses for a part of them.

The index holds trigrams. For each one that it is asked for it reads all entries, and half of the customers may have those of
`gmail.com`; but neighbouring trigrams say almost the same. So a long needle asks for a few that do not overlap, and what they
find is compared with all of it.
"""

import re

# Each holds a whole trigram: three characters, with the end of their word if that is there; or a shorter rest of a word with
# the end or the beginning that makes one. A separator goes to the short word behind it, which has nothing else.
PIECE = re.compile(
    r"[a-z0-9]{3}(?:[^a-z0-9](?![a-z0-9]{1,2}(?![a-z0-9])))?"
    r"|[^a-z0-9][a-z0-9]{1,2}(?![a-z0-9])"
    r"|[a-z0-9]{2}[^a-z0-9]"
)
# What the index can find at least: two characters of a word and another one, or a word of one character.
FINDABLE = re.compile(r"[a-z0-9]{3}|[a-z0-9]{2}[^a-z0-9]|[^a-z0-9][a-z0-9]{2}|[^a-z0-9][a-z0-9][^a-z0-9]")
# With fewer in it, the part before the @ may be as common as the domain.
FEWEST = 3


def index_pattern(needle: str) -> str | None:
    """A LIKE pattern that each address with the needle matches, and few others; None if the index cannot help.

    needle: in lower case, as is the address that the pattern is for.
    """
    if not FINDABLE.search(needle):
        return None
    mailbox, at, domain = needle.partition("@")
    pieces = list(PIECE.finditer(mailbox + at))
    if len(pieces) < FEWEST:
        return f"%{_literal(needle)}%"
    beginnings = [n for n, piece in enumerate(pieces) if _begins_word(mailbox + at, piece.start())] or [0]
    # People's names are the first two words, and a number that tells them apart is the last one.
    chosen = {*beginnings[:2], beginnings[-1]}
    if len(beginnings) != 2:
        chosen.add(len(pieces) - 1)
    texts = [pieces[n][0] for n in sorted(chosen)]
    if len(beginnings) < FEWEST:
        # At a rare domain there are few of any name.
        texts += PIECE.findall(domain)[:1]
    return f"%{'%'.join(map(_literal, texts))}%"


def _begins_word(text: str, position: int) -> bool:
    return not (position and text[position - 1 : position + 1].isalnum())


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
