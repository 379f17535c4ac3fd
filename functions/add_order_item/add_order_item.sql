WITH customer AS (
    -- An erasure waits for the answer that is stored here, or is waited for: see forget_customer.
    SELECT c AS c, c.xmin AS version
    FROM customers AS c
    WHERE c.id = (SELECT customer_id FROM orders WHERE id = :order_id)
    FOR KEY SHARE
), changed_order AS (
    UPDATE orders AS o
    SET total_cents = o.total_cents + :quantity::bigint * :unit_price_cents::bigint, item_count = o.item_count + 1
    FROM customer, orders AS order_before
    WHERE o.id = :order_id
      AND o.status = 'pending'
      AND o.item_count < :max_items
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, customer.version) = ANY (:if_match::text[]))
    RETURNING o AS o, customer.c AS c, order_before.total_cents AS total_cents_before,
        order_etag(o.xmin, customer.version) AS etag
), new_item AS (
    INSERT INTO order_items AS i (order_id, sku, quantity, unit_price_cents)
    SELECT (o).id, :sku, :quantity::bigint, :unit_price_cents::bigint FROM changed_order
    RETURNING i AS i
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = :order_id), 0),
        'order.item_added', :actor, :request_id,
        to_json(ROW(ARRAY[NULL, order_item_json(i)], ARRAY[total_cents_before, (o).total_cents])::order_item_changes)
    FROM changed_order, new_item
), item_now AS (
    SELECT i AS i FROM order_items AS i WHERE i.order_id = :order_id
    UNION ALL
    SELECT i FROM new_item
), answer AS (
    SELECT
        '/api/orders/' || (o).id || '/' AS location,
        etag,
        order_json(o, c, to_json(ARRAY(SELECT order_item_json(i) FROM item_now ORDER BY (i).id)))::text AS body
    FROM changed_order
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body, customer_id)
    SELECT :caller, :path, :key, :request_hash, answer.location, answer.etag, answer.body, (changed_order.o).customer_id
    FROM answer, changed_order
    WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
