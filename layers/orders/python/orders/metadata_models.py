"""Metadata in the contract: a client's own keys and values. Used as models.py is."""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from orders.limits import MAX_METADATA_KEYS, ONE_LINE, PRINTABLE

_METADATA_VALUE = {"type": "string", "maxLength": 500, "pattern": ONE_LINE}


def _metadata(most: int, value: dict[str, Any], example: dict[str, str | None]) -> WithJsonSchema:
    """Pydantic itself would allow keys that do not match the pattern."""
    return WithJsonSchema(
        {
            "type": "object",
            "maxProperties": most,
            "propertyNames": {"minLength": 1, "maxLength": 40, "pattern": PRINTABLE},
            "additionalProperties": value,
            "examples": [example],
        }
    )


Metadata = Annotated[dict[str, str], _metadata(MAX_METADATA_KEYS, _METADATA_VALUE, {"channel": "web"})]
# Enough to replace every key by another.
MetadataChange = Annotated[
    dict[str, str | None],
    _metadata(2 * MAX_METADATA_KEYS, {"anyOf": [_METADATA_VALUE, {"type": "null"}]}, {"channel": "shop", "campaign": None}),
]
