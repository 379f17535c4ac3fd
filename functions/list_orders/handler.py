"""GET /api/orders/"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orders import database
from orders.api import Api
from orders.limits import MAX_BIGINT, MAX_PAGE_ROWS
from orders.needles import index_pattern
from orders.paging import page, page_start

if TYPE_CHECKING:
    from orders.parameters import Cursor, CustomerFilter, EmailFilter, Limit, ReferenceFilter, StatusFilter
    from orders.requests import Request
    from orders.responses import Response

app = Api()

LIST_ORDERS = database.load_sql(__file__, "list_orders.sql")
BEFORE, NEWEST = "id < (SELECT :before::bigint)", "id DESC"
# The same order under another name, which only the indexes by status have: asked for id, the planner prefers to walk the
# primary key, past every newer order of another status.
OF_STATUS_BEFORE, NEWEST_OF_STATUS = "status = (SELECT :status::text) AND -id > (SELECT :minus_before::bigint)", "-id"
OF_CUSTOMER = "customer_id = :customer_id AND "
IF_ADDRESS_CONTAINS = "(SELECT strpos(lower(email), :needle) > 0 FROM customers WHERE id = :customer_id) AND "
# By a part of the customer's address.
SEARCH_ORDERS = database.load_sql(__file__, "search_orders.sql")
WALK_ORDERS = database.load_sql(__file__, "walk_orders.sql")
FIND_ORDER = database.load_sql(__file__, "find_order.sql")


@app.endpoint("GET", "/api/orders", scopes=["orders/read"], returns={200: "OrderPage"}, tag="Orders")
def list_orders(
    request: Request,
    status: StatusFilter = None,
    email: EmailFilter = None,
    customer_id: CustomerFilter = None,
    reference: ReferenceFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List orders, newest first.

    Filters combine with AND. To read all orders, follow `next` until it is null.
    """
    [before] = page_start(request, cursor, [MAX_BIGINT])
    needle = None if email is None else email.lower()
    wanted = {"status": status, "customer_id": customer_id, "needle": needle}
    if reference is not None:
        return page(request, database.run(FIND_ORDER, repeatable=True, before=before, reference=reference, **wanted), limit)
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if status:
        listed, newest, newest_of_page = OF_STATUS_BEFORE, NEWEST_OF_STATUS, "page.place"
        values["minus_before"] = -before
    else:
        listed, newest, newest_of_page = BEFORE, NEWEST, "page.id DESC"
        values["before"] = before
    if needle is None or customer_id is not None:
        customer = "" if customer_id is None else OF_CUSTOMER
        address = "" if needle is None else IF_ADDRESS_CONTAINS
        sql = LIST_ORDERS.format(
            listed=customer + address + listed, newest=newest, newest_of_page=newest_of_page, most=MAX_PAGE_ROWS + 1
        )
    elif (pattern := index_pattern(needle)) is None:
        sql = WALK_ORDERS.format(listed=listed, newest=newest)
    else:
        sql = SEARCH_ORDERS.format(listed=listed, newest=newest)
        values["pattern"] = pattern
    return page(request, database.run(sql, repeatable=True, rows=limit + 1, **values), limit)


handler = app.handler
