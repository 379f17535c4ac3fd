"""GET /api/events/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import invalid
from orders.limits import MAX_PAGE_ROWS
from orders.operations import contract
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.connection import Row
    from orders.parameters import Cursor, CustomerFilter, EventTypeFilter, Limit, OrderFilter
    from orders.requests import Request
    from orders.responses import Response

app = Api()
LIST_EVENTS = database.load_sql(__file__, "list_events.sql").format(most=MAX_PAGE_ROWS + 1)
LIST_EVENTS_OF_TYPE = database.load_sql(__file__, "list_events_of_type.sql").format(most=MAX_PAGE_ROWS + 1)
LIST_EVENTS_OF_CUSTOMER = database.load_sql(__file__, "list_events_of_customer.sql").format(most=MAX_PAGE_ROWS + 1)
LIST_EVENTS_OF_ORDER = database.load_sql(__file__, "list_events_of_order.sql")


@app.endpoint("GET", "/api/events", scopes=["events/read"], returns={200: "Feed"}, tag="Events")
def list_events(
    request: Request,
    type: EventTypeFilter = None,  # noqa: A002 - the parameter's name in the contract
    order_id: OrderFilter = None,
    customer_id: CustomerFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List the events of orders and customers, oldest first.

    Each appears exactly once per walk, as soon as nothing that began before it can still commit. `next_cursor` is given on
    the last page as well: keep it, and ask again later for what has come since. Filters combine with AND.
    """
    # Within an order: sequence. Otherwise: transaction id, id. Then the generation of the database.
    *start, generation = page_start(request, cursor, [0, 0] if order_id else [0, 0, 0])
    if order_id:
        rows = database.run(
            LIST_EVENTS_OF_ORDER,
            repeatable=True,
            order_id=order_id,
            type=type,
            customer_id=customer_id,
            sequence=start[0],
            rows=limit + 1,
        )
    else:
        rows = _feed(type, customer_id, transaction_id=start[0], id=start[1], rows=limit + 1)
    [now, *_] = rows[0]
    if cursor is not None and generation != now:
        raise invalid("cursor", "is of another database, or from before this one was restored; start again without one")
    return page(request, [[*keys, now, text] for _, *keys, text in rows if text is not None], limit, kept=[*start, now])


def _feed(event_type: str | None, customer_id: int | None, **position: int) -> list[Row]:
    if customer_id:
        types = [event_type] if event_type else _known_types()
        return database.run(LIST_EVENTS_OF_CUSTOMER, repeatable=True, event_types=types, customer_id=customer_id, **position)
    if event_type:
        return database.run(LIST_EVENTS_OF_TYPE, repeatable=True, type=event_type, **position)
    return database.run(LIST_EVENTS, repeatable=True, **position)


def _known_types() -> list[str]:
    [known] = [each for each in contract()["paths"]["/api/events"]["get"]["parameters"] if each["name"] == "type"]
    types: list[str] = known["schema"]["enum"]
    return types


handler = app.handler
