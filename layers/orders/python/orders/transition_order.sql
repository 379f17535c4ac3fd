-- :action and :becomes come from the endpoint; whether the action is legal from here is said by allowed_actions() alone.
WITH changed_order AS (
    UPDATE orders AS o
    SET status = :becomes
    FROM customers AS c, orders AS order_before
    WHERE o.id = :order_id
      AND :action = ANY (allowed_actions(o.status))
      AND c.id = o.customer_id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND order_before.id = o.id AND o.xmin = order_before.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, order_before.status AS status_before, order_etag(o.xmin, c.xmin) AS etag
), event AS (
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (o).id, (o).customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = :order_id), 0),
        'order.' || :becomes::text, :actor, :request_id,
        CASE
            WHEN :reason::text IS NULL THEN to_json(ROW(ARRAY[status_before, (o).status])::order_status_changes)
            ELSE to_json(ROW(ARRAY[status_before, (o).status], :reason)::order_cancelled_changes)
        END
    FROM changed_order
)
SELECT
    etag,
    order_json(
        o, c, to_json(ARRAY(SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = (o).id ORDER BY i.id))
    )::text
FROM changed_order
