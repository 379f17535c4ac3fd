"""GET /api/customers/"""

from aws_lambda_powertools.event_handler import Response

from orders import database
from orders.api import Api, Cursor, EmailFilter, Limit, contains, page, page_start
from orders.models import MAX_BIGINT, CustomerPage

app = Api()

SELECT = "SELECT id, customer_json(c)::text FROM customers AS c WHERE id < :before"
BY_EMAIL = " AND lower(email) LIKE :email"
NEWEST_FIRST = " ORDER BY id DESC LIMIT :rows"


@app.endpoint("GET", "/api/customers", scopes=["customers/read"], returns={200: CustomerPage}, tag="Customers")
def list_customers(email: EmailFilter = None, limit: Limit = 50, cursor: Cursor = None) -> Response[str]:
    """List customers, newest first."""
    [before] = page_start(app.current_event, cursor, [MAX_BIGINT])
    if email is None:
        rows = database.run(SELECT + NEWEST_FIRST, repeatable=True, before=before, rows=limit + 1)
    else:
        # A rare needle wants the trigram index, a common one a walk by id: planned with its value, each time.
        rows = database.run(
            SELECT + BY_EMAIL + NEWEST_FIRST,
            repeatable=True,
            plan_with_values=True,
            before=before,
            rows=limit + 1,
            email=contains(email),
        )
    return page(app.current_event, rows, limit)


handler = app.handler
