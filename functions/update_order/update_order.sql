WITH changed_order AS (
    UPDATE orders AS o
    SET metadata = jsonb_strip_nulls(o.metadata || :metadata::jsonb)
    FROM customers AS c, orders AS order_before
    WHERE o.id = :order_id
      AND jsonb_strip_nulls(o.metadata || :metadata::jsonb) <> o.metadata
      AND c.id = o.customer_id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, order_before.metadata AS metadata_before, order_etag(o.xmin, c.xmin) AS etag
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = :order_id), 0),
        'order.updated', :actor, :request_id,
        to_json(ROW(ARRAY[metadata_json(metadata_before), metadata_json((o).metadata)])::order_updated_changes)
    FROM changed_order
)
SELECT
    etag,
    order_json(
        o, c, to_json(ARRAY(SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = (o).id ORDER BY i.id))
    )::text
FROM changed_order
