WITH changed_order AS (
    UPDATE orders AS o
    SET total_cents = o.total_cents + :quantity::bigint * :unit_price_cents::bigint, item_count = o.item_count + 1
    FROM customers AS c, orders AS order_before
    WHERE o.id = :order_id
      AND o.status = 'pending'
      AND o.item_count < :max_items
      AND c.id = o.customer_id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, order_before.total_cents AS total_cents_before, order_etag(o.xmin, c.xmin) AS etag
), new_item AS (
    INSERT INTO order_items AS i (order_id, sku, quantity, unit_price_cents)
    SELECT (o).id, :sku, :quantity::bigint, :unit_price_cents::bigint FROM changed_order
    RETURNING i AS i
), event AS (
    INSERT INTO order_events (order_id, type, actor, request_id, changes)
    SELECT (o).id, 'item_added', :actor, :request_id, to_json(ROW(
        ARRAY[NULL, order_item_json(i)], ARRAY[total_cents_before, (o).total_cents]
    )::order_item_changes)
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
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
