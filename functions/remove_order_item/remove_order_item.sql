WITH changed_order AS (
    UPDATE orders AS o
    SET total_cents = o.total_cents - i.quantity * i.unit_price_cents, item_count = o.item_count - 1
    FROM customers AS c, orders AS order_before, order_items AS i
    WHERE o.id = :order_id
      AND o.status = 'pending'
      AND o.item_count > 1
      AND c.id = o.customer_id
      AND i.id = :item_id AND i.order_id = o.id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, order_before.total_cents AS total_cents_before, order_etag(o.xmin, c.xmin) AS etag
), removed_item AS (
    DELETE FROM order_items AS i USING changed_order WHERE i.id = :item_id
    RETURNING i AS i
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = :order_id), 0),
        'order.item_removed', :actor, :request_id,
        to_json(ROW(ARRAY[order_item_json(i), NULL], ARRAY[total_cents_before, (o).total_cents])::order_item_changes)
    FROM changed_order, removed_item
)
SELECT
    etag,
    order_json(o, c, to_json(ARRAY(
        SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = :order_id AND i.id <> :item_id ORDER BY i.id
    )))::text
FROM changed_order
