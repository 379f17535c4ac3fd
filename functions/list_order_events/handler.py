"""GET /api/orders/{order_id}/events/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orders import database
from orders.api import Api
from orders.errors import not_found
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, Id, Limit
    from orders.requests import Request
    from orders.responses import Response

app = Api()
LIST_ORDER_EVENTS = database.load_sql(__file__, "list_order_events.sql")


@app.endpoint(
    "GET",
    "/api/orders/{order_id}/events",
    scopes=["orders/read"],
    returns={200: "EventPage"},
    problems=[404],
    tag="Events",
)
def list_order_events(request: Request, order_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List the history of an order, oldest first.

    `changes` contains the values before and after the change. Seeded orders start without a history.
    An event shows here as soon as its change does.
    """
    [after] = page_start(request, cursor, [0])
    rows = database.run(LIST_ORDER_EVENTS, repeatable=True, order_id=order_id, after=after, rows=limit + 1)
    if not rows:
        raise not_found("order", order_id)
    return page(request, [row for row in rows if row[0] is not None], limit)


handler = app.handler
