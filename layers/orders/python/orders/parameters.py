"""The types of the handlers' parameters. openapi.json and operations.json are built from them; the latter checks requests."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import Field

from orders import event_models, models
from orders.limits import HEADER_VALUE, MAX_CURSOR_LENGTH, MAX_INTEGER, MAX_PAGE_ROWS, PRINTABLE_OR_EMPTY, VISIBLE_ASCII

Id = Annotated[int, Field(ge=1, le=MAX_INTEGER), Path()]
RunId = Annotated[str, Field(json_schema_extra={"format": "uuid"}), Path()]
ExportId = Annotated[str, Field(json_schema_extra={"format": "uuid"}), Path()]
CustomerFilter = Annotated[
    int | None, Field(ge=1, le=MAX_INTEGER), Query(alias="customer_id", description="Only those of this customer.")
]
StatusFilter = Annotated[models.OrderStatus | None, Query(alias="status", description="Only orders with this status.")]
OrderFilter = Annotated[
    int | None, Field(ge=1, le=MAX_INTEGER), Query(alias="order_id", description="Only those of this order.")
]
EventTypeFilter = Annotated[
    str | None,
    Query(alias="type", description="Only events of this type.", json_schema_extra={"enum": list(event_models.EVENTS)}),
]
ReferenceFilter = Annotated[models.Reference | None, Query(alias="reference", description="Finds the order that has it.")]
EmailFilter = Annotated[
    str | None,
    Query(
        alias="email",
        max_length=254,
        pattern=PRINTABLE_OR_EMPTY,
        description="Matches customers whose address contains this, in any letter case.",
    ),
]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE_ROWS), Query(description="Rows per page.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the previous page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=VISIBLE_ASCII,
        description="1 to 255 visible ASCII characters, bare or quoted. The same key, path and body return the first answer.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", pattern=HEADER_VALUE, description="The change is made only if the current ETag is one of these."),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", pattern=HEADER_VALUE, description="304 if the current ETag is one of these."),
]
AssetVersion = Annotated[str, Field(max_length=64), Path(description="As in the addresses that the page names.")]
AssetFolder = Annotated[str, Field(max_length=64), Path(description="Of the file.")]
AssetFile = Annotated[str, Field(max_length=64), Path(description="Its name.")]
