"""Limits of numbers and strings, defined once: openapi.json is built from them, and error messages refer to them."""

MAX_BIGINT = 2**63 - 1
# The largest integer that every JSON parser reads exactly: a JavaScript number is a double.
MAX_INTEGER = 2**53 - 1
# Keeps an order's document, and thus every page, within the size of a Lambda response.
MAX_ITEMS = 500
MAX_CURSOR_LENGTH = 200
MAX_PAGE_ROWS = 200
MAX_METADATA_KEYS = 20

# Control characters and line breaks have no place in names and codes, and NUL cannot be stored. Bidirectional controls
# reorder the text around them, which would let one name pass for another.
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_UNPRINTABLE = _CONTROLS + r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_INVISIBLE = _UNPRINTABLE + r"\s\u200b-\u200d\u2060\ufeff"
PRINTABLE = rf"^[^{_UNPRINTABLE}]*[^{_INVISIBLE}][^{_UNPRINTABLE}]*$"
PRINTABLE_OR_EMPTY = rf"^[^{_CONTROLS}]*$"
# As PRINTABLE, but it may be blank or empty.
ONE_LINE = rf"^[^{_UNPRINTABLE}]*$"
# Of any script. Two that look alike but for a blank would be two references to a machine and one to a person.
VISIBLE = rf"^[^{_INVISIBLE}]+$"
# Visible ASCII with one @, followed by labels separated by dots.
EMAIL = r"^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$"
VISIBLE_ASCII = r"^[!-~]+$"
# What the value of a header can be (RFC 9110).
HEADER_VALUE = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"

PATTERN_MESSAGES = {
    EMAIL: "is not an e-mail address",
    PRINTABLE: "must contain something visible, and no control, line-separator or bidirectional-control characters",
    HEADER_VALUE: "must not contain control characters",
    ONE_LINE: "must not contain control, line-separator or bidirectional-control characters",
    PRINTABLE_OR_EMPTY: "must not contain control characters",
    VISIBLE: "must contain visible characters only, and no white space",
    VISIBLE_ASCII: "must contain visible ASCII characters only",
}
