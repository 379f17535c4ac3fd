-- :action and :becomes come from the endpoint; whether the action is legal from here is said by allowed_actions() alone.
WITH changed AS (
    UPDATE orders AS o
    SET status = :becomes
    FROM customers AS c, orders AS seen
    WHERE o.id = :order_id
      AND :action = ANY (allowed_actions(o.status))
      AND c.id = o.customer_id
      -- Nobody changed the order since this statement began, so the items read below are the items of this version.
      AND seen.id = o.id AND o.xmin = seen.xmin
      AND (:if_match::text[] IS NULL OR order_etag(o.xmin, c.xmin) = ANY (:if_match::text[]))
    RETURNING o AS o, c AS c, seen.status AS former_status, order_etag(o.xmin, c.xmin) AS etag
), recorded AS (
    INSERT INTO order_events (order_id, type, actor, request_id, changes)
    SELECT (o).id, :becomes, :actor, :request_id, json_build_object('status', json_build_array(former_status, (o).status))
    FROM changed
)
SELECT etag, order_json(o, c, (SELECT json_agg(order_item_json(i) ORDER BY i.id) FROM order_items AS i WHERE i.order_id = (o).id))::text
FROM changed
