WITH changed_order AS (
    UPDATE orders AS o
    SET total_cents = o.total_cents - i.quantity * i.unit_price_cents
        + coalesce(:quantity::bigint, i.quantity) * coalesce(:unit_price_cents::bigint, i.unit_price_cents)
    FROM customers AS c, orders AS order_before, order_items AS i
    WHERE o.id = :order_id
      AND o.status = 'pending'
      AND c.id = o.customer_id
      AND i.id = :item_id AND i.order_id = o.id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, i AS item_before, order_before.total_cents AS total_cents_before, order_etag(o.xmin, c.xmin) AS etag
), changed_item AS (
    UPDATE order_items AS i
    SET quantity = coalesce(:quantity::bigint, i.quantity),
        unit_price_cents = coalesce(:unit_price_cents::bigint, i.unit_price_cents)
    FROM changed_order
    WHERE i.id = (changed_order.item_before).id
    RETURNING i AS i
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = :order_id), 0),
        'order.item_updated', :actor, :request_id,
        to_json(ROW(ARRAY[order_item_json(item_before), order_item_json(i)], ARRAY[total_cents_before, (o).total_cents])::order_item_changes)
    FROM changed_order, changed_item
), item_now AS (
    SELECT i AS i FROM order_items AS i WHERE i.order_id = :order_id AND i.id <> :item_id
    UNION ALL
    SELECT i FROM changed_item
)
SELECT etag, order_json(o, c, to_json(ARRAY(SELECT order_item_json(i) FROM item_now ORDER BY (i).id)))::text
FROM changed_order
