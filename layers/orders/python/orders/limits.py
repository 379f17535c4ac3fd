"""What numbers and texts of the contract may be: said once, for openapi.json and for what is said when they are not."""

MAX_BIGINT = 2**63 - 1
# What every JSON parser reads exactly; a JavaScript number, or a double, can hold no larger integer than this.
MAX_INTEGER = 2**53 - 1
# Keeps the document of an order, and with it every page, within what Lambda can answer.
MAX_ITEMS = 500
MAX_CURSOR_LENGTH = 200

# Control characters and line breaks have no place in names and codes; NUL cannot be stored at all. Nor have characters that
# turn around what is read beside them: a name could pretend to be another.
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_UNPRINTABLE = _CONTROLS + r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_INVISIBLE = _UNPRINTABLE + r"\s\u200b-\u200d\u2060\ufeff"
PRINTABLE = rf"^[^{_UNPRINTABLE}]*[^{_INVISIBLE}][^{_UNPRINTABLE}]*$"
PRINTABLE_OR_EMPTY = rf"^[^{_CONTROLS}]*$"
# Visible ASCII with one @, and behind it labels between dots.
EMAIL = r"^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$"
VISIBLE_ASCII = r"^[!-~]+$"

PATTERN_MESSAGES = {
    EMAIL: "is not an e-mail address",
    PRINTABLE: "must hold something visible, and no control, line-separator or bidirectional-control characters",
    PRINTABLE_OR_EMPTY: "must not hold control characters",
    VISIBLE_ASCII: "must hold visible ASCII characters only",
}
