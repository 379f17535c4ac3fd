"""What is copied of each kind: one range of ids after the other, newest first as in the list."""

from collections.abc import Mapping

CSV_COLUMNS = {
    "orders": "id,customer_id,customer_email,customer_name,status,item_count,total_cents,created_at,updated_at",
    "items": "id,sku,quantity,unit_price_cents,order_id,order_status,customer_id",
    "customers": "id,email,name,created_at",
    "summary": "customer_id,email,name,order_count,item_count,total_spent_cents",
}
TABLES = {"orders": "orders", "items": "orders", "customers": "customers", "summary": "customers"}
CONDITIONS = {"status": "status = {}", "customer_id": "customer_id = {}::bigint", "email": "strpos(address, lower({})) > 0"}
# JSON as it is: PostgreSQL would quote neither of these characters' neighbours, and neither can occur in a document.
JSON_OPTIONS = r"FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01'"
NEWEST = "SELECT coalesce(max(id), 0), now()::text FROM {table}"


def newest(kind: str) -> str:
    """The statement for the largest id, and for when the snapshot was taken."""
    return NEWEST.format(table=TABLES[kind])


def copy_statement(kind: str, form: str, filters: Mapping[str, str], begin: int, end: int) -> str:
    """For ids from begin down to, but without, end. filters: by name, each quoted by PostgreSQL."""
    conditions = [f"position <= {begin}", f"position > {end}", *(CONDITIONS[name].format(filters[name]) for name in filters)]
    columns, options = ("document", JSON_OPTIONS) if form == "jsonl" else (CSV_COLUMNS[kind], "FORMAT csv")
    order = "position DESC, id" if kind == "items" else "position DESC"
    rows = f"SELECT {columns} FROM exported_{kind} WHERE {' AND '.join(conditions)} ORDER BY {order}"  # noqa: S608 - quoted
    return f"COPY ({rows}) TO STDOUT ({options})"


def heading(kind: str, form: str) -> bytes:
    return b"" if form == "jsonl" else f"{CSV_COLUMNS[kind]}\n".encode()
