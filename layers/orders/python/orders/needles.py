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
# With fewer in it, the part before the @ may be as common as the domain.
FEWEST = 3


def email_filters(needle: str | None) -> dict[str, str]:
    """What an address that contains the needle fulfils, in any letter case: {} without a needle.

    email: a LIKE pattern for the address in lower case. needle: if that says too little, what the address must contain.
    """
    if needle is None:
        return {}
    needle = needle.lower()
    mailbox, at, domain = needle.partition("@")
    pieces = PIECE.findall(mailbox + at)
    if len(pieces) < FEWEST:
        return {"email": f"%{_literal(needle)}%"}
    # People's names are at the beginning, and the numbers that tell them apart at the end. One piece of the domain, because
    # at a rare one there are few of any name.
    chosen = pieces[:FEWEST] + pieces[FEWEST:][-FEWEST:] + PIECE.findall(domain)[:1]
    return {"email": f"%{'%'.join([_literal(piece) for piece in chosen])}%", "needle": needle}


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
