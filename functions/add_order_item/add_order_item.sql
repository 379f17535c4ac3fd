WITH target AS (
    UPDATE orders AS o
    SET total_cents = o.total_cents + :quantity::bigint * :unit_price_cents::bigint, item_count = o.item_count + 1
    FROM customers AS c, orders AS seen
    WHERE o.id = :order_id
      AND o.status = 'pending'
      AND o.item_count < :max_items
      AND c.id = o.customer_id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND seen.id = o.id AND o.xmin = seen.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, seen.total_cents AS former_total_cents, order_etag(o.xmin, c.xmin) AS etag
), added AS (
    INSERT INTO order_items AS i (order_id, sku, quantity, unit_price_cents)
    SELECT (o).id, :sku, :quantity::bigint, :unit_price_cents::bigint FROM target
    RETURNING i AS i
), recorded AS (
    INSERT INTO order_events (order_id, type, actor, request_id, changes)
    SELECT (o).id, 'item_added', :actor, :request_id, json_build_object(
        'item', json_build_array(NULL, order_item_json(i)),
        'total_cents', json_build_array(former_total_cents, (o).total_cents))
    FROM target, added
), item AS (
    SELECT i AS i FROM order_items AS i WHERE i.order_id = :order_id
    UNION ALL
    SELECT i FROM added
), answer AS (
    SELECT
        '/api/orders/' || (o).id || '/' AS location,
        etag,
        order_json(o, c, (SELECT json_agg(order_item_json(i) ORDER BY (i).id) FROM item))::text AS body
    FROM target
), remembered AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
