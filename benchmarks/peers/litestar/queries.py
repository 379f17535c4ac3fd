"""The statements. Each write is one, so that no round trip stands between BEGIN and COMMIT."""

COLUMNS = """
    o.id, o.reference, o.status, o.total_cents, o.metadata, o.created_at, o.updated_at, c.id AS customer_id, c.email, c.name"""
ITEMS = """(
    SELECT json_agg(json_build_object(
        'id', i.id, 'sku', i.sku, 'quantity', i.quantity, 'unit_price_cents', i.unit_price_cents) ORDER BY i.id)
    FROM {table} AS i WHERE i.order_id = o.id
) AS items"""
ITEMS_OF_ORDER = ITEMS.format(table="order_items")
WHOLE_ORDER = f"SELECT {COLUMNS}, {ITEMS_OF_ORDER} FROM orders AS o JOIN customers AS c ON c.id = o.customer_id"

GET_ORDER = f"{WHOLE_ORDER} WHERE o.id = $1"

CREATE_ORDER = f"""
WITH item AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS item (sku, quantity, price, position)
), o AS (
    INSERT INTO orders (customer_id, total_cents, item_count, reference, metadata)
    SELECT id, (SELECT sum(quantity * price) FROM item), (SELECT count(*) FROM item), $6, $7 FROM customers WHERE id = $1
    RETURNING *
), new_item AS (
    INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
    SELECT o.id, sku, quantity, price FROM o, item ORDER BY position
    RETURNING *
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)
    SELECT id, customer_id, 1, 'order.created', $5, json_build_object(
        'status', json_build_array(NULL, status), 'total_cents', json_build_array(NULL, total_cents))
    FROM o
)
SELECT {COLUMNS}, {ITEMS.format(table="new_item")} FROM o JOIN customers AS c ON c.id = o.customer_id
"""

CANCEL_ORDER = f"""
WITH former AS (
    SELECT id, status FROM orders WHERE id = $1 FOR NO KEY UPDATE
), o AS (
    UPDATE orders SET status = 'cancelled' FROM former
    WHERE orders.id = former.id AND former.status IN ('pending', 'paid')
    RETURNING orders.*, former.status AS former_status
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, request_id, changes)
    SELECT
        id, customer_id, (SELECT 1 + coalesce(max(sequence), 0) FROM events WHERE order_id = $1), 'order.cancelled', $2,
        json_build_object('status', json_build_array(former_status, status))
    FROM o
)
SELECT {COLUMNS}, {ITEMS_OF_ORDER} FROM o JOIN customers AS c ON c.id = o.customer_id
"""

# What the replaced system counted on each request: it kept no totals per customer.
SUMMARIZE_ORDERS = """
SELECT *
FROM (
    SELECT
        c.id AS customer_id, c.email, c.name,
        coalesce(t.order_count, 0) AS order_count,
        coalesce(t.item_count, 0) AS item_count,
        coalesce(t.total_spent_cents, 0)::bigint AS total_spent_cents
    FROM customers AS c
    LEFT JOIN (
        SELECT
            customer_id, count(*) AS order_count, sum(item_count) AS item_count,
            sum(total_cents) FILTER (WHERE status <> 'cancelled') AS total_spent_cents
        FROM orders
        GROUP BY customer_id
    ) AS t ON t.customer_id = c.id
) AS summary
WHERE (-total_spent_cents, customer_id) > ($1, $2)
ORDER BY -total_spent_cents, customer_id
LIMIT $3
"""


def list_orders(filters: list[str]) -> str:
    return f"{WHOLE_ORDER} WHERE {' AND '.join(filters)} ORDER BY o.id DESC LIMIT $2"
