"""What is copied of each kind: one range of ids after the other, in the order of the list."""

from collections.abc import Mapping

CSV_COLUMNS = {
    "orders": (
        "id,reference,customer_id,customer_email,customer_name,status,item_count,total_cents,metadata,created_at,updated_at"
    ),
    "items": "id,sku,quantity,unit_price_cents,order_id,order_status,customer_id",
    "customers": "id,email,name,metadata,created_at",
    "summary": "customer_id,email,name,order_count,item_count,total_spent_cents",
    "events": "id,type,at,actor,request_id,order_id,customer_id,sequence,changes",
}
# Of a view's columns that filters compare: what stands in CSV.
SHOWN = {"reference": "spreadsheet_text(reference)"}
TABLES = {"orders": "orders", "items": "orders", "customers": "customers", "summary": "customers", "events": "events"}
OLDEST_FIRST = ("events",)
CONDITIONS = {
    "status": "status = {}",
    "email": "strpos(address, {}) > 0",
    "customer_id": "customer_id = {}::bigint",
    "order_id": "order_id = {}::bigint",
    "reference": "reference = {}",
    "type": "type = {}",
}
# JSON as it is: PostgreSQL would quote neither of these characters' neighbours, and neither can occur in a document.
JSON_OPTIONS = r"FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01'"
NEWEST = "SELECT coalesce(max(id), 0), now()::text FROM {table}"
NEXT_NEWER = "SELECT min(id) FROM {table} WHERE id > :id"
NEXT_OLDER = "SELECT max(id) FROM {table} WHERE id <= :id"


def newest(kind: str) -> str:
    """The statement for the largest id, and for when the snapshot was taken."""
    return NEWEST.format(table=TABLES[kind])


def next_row(kind: str) -> str:
    """The statement for the id at which rows go on, or null: above :id of what is copied oldest first, else at or below it."""
    return (NEXT_NEWER if kind in OLDEST_FIRST else NEXT_OLDER).format(table=TABLES[kind])


def copy_statement(kind: str, form: str, filters: Mapping[str, str], ids: tuple[int, int]) -> str:
    """For ids above the first and up to the second. filters: by name, each quoted by PostgreSQL."""
    conditions = [f"position > {ids[0]}", f"position <= {ids[1]}"]
    for name, value in filters.items():
        # As the lists do it, whose notion of lower case is Python's.
        conditions.append(CONDITIONS[name].format(value.lower() if name == "email" else value))
    columns, options = ("document", JSON_OPTIONS) if form == "jsonl" else (_shown(kind), "FORMAT csv")
    order = f"position{'' if kind in OLDEST_FIRST else ' DESC'}{', id' if kind == 'items' else ''}"
    rows = f"SELECT {columns} FROM exported_{kind} WHERE {' AND '.join(conditions)} ORDER BY {order}"  # noqa: S608 - quoted
    return f"COPY ({rows}) TO STDOUT ({options})"


def _shown(kind: str) -> str:
    return ",".join(SHOWN.get(column, column) for column in CSV_COLUMNS[kind].split(","))


def heading(kind: str, form: str) -> bytes:
    return b"" if form == "jsonl" else f"{CSV_COLUMNS[kind]}\n".encode()
