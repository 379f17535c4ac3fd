-- One statement, so one transaction: the order, its items, its first event, and the answer under the idempotency key.
WITH customer AS (
    -- An erasure waits for the answer that is stored here, or is waited for: see forget_customer.
    SELECT c AS c, c.xmin AS version FROM customers AS c WHERE c.id = :customer_id FOR KEY SHARE
), ordered_item AS (
    SELECT * FROM ROWS FROM (
        json_to_recordset(:items::json) AS (sku text, quantity bigint, unit_price_cents bigint)
    ) WITH ORDINALITY AS ordered_item (sku, quantity, unit_price_cents, position)
), new_order AS (
    INSERT INTO orders AS o (customer_id, total_cents, item_count, reference, metadata)
    SELECT (customer.c).id, (SELECT sum(quantity * unit_price_cents) FROM ordered_item), (SELECT count(*) FROM ordered_item),
        :reference, :metadata::jsonb
    FROM customer
    RETURNING o AS o, o.xmin AS version
), new_item AS (
    INSERT INTO order_items AS i (order_id, sku, quantity, unit_price_cents)
    SELECT (new_order.o).id, sku, quantity, unit_price_cents FROM new_order, ordered_item ORDER BY position
    RETURNING i AS i
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1, 'order.created', :actor, :request_id,
        to_json(ROW(ARRAY[NULL, (o).status], ARRAY[NULL, (o).total_cents])::order_created_changes)
    FROM new_order
), answer AS (
    SELECT
        '/api/orders/' || (new_order.o).id || '/' AS location,
        order_etag(new_order.version, customer.version) AS etag,
        order_json(
            new_order.o, customer.c, to_json(ARRAY(SELECT order_item_json(i) FROM new_item ORDER BY (i).id))
        )::text AS body
    FROM new_order, customer
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body, customer_id)
    SELECT :caller, :path, :key, :request_hash, location, etag, body, :customer_id FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
