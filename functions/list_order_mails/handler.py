"""GET /api/orders/{order_id}/mails/"""

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
LIST_ORDER_MAILS = database.load_sql(__file__, "list_order_mails.sql")


@app.endpoint(
    "GET",
    "/api/orders/{order_id}/mails",
    scopes=["orders/read"],
    returns={200: "MailPage"},
    problems=[404],
    tag="Orders",
)
def list_order_mails(request: Request, order_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """List the mails to the customer about an order, oldest first.

    Each belongs to an event of the order's history, whose id and type it has. `error` says why a mail did not arrive.
    """
    [after] = page_start(request, cursor, [0])
    rows = database.run(LIST_ORDER_MAILS, repeatable=True, order_id=order_id, after=after, rows=limit + 1)
    if not rows:
        raise not_found("order", order_id)
    return page(request, [row for row in rows if row[0] is not None], limit)


handler = app.handler
