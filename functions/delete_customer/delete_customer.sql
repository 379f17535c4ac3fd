WITH removed_customer AS (
    DELETE FROM customers AS c
    USING customers AS customer_before
    WHERE c.id = :customer_id
      AND NOT EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.id)
      -- Nobody changed the customer since this statement began, so the event that it finds to be the last one is.
      AND customer_before.id = c.id AND c.xmin = customer_before.xmin
      AND (:if_match::text[] IS NULL OR customer_etag(c.xmin) = ANY (:if_match::text[]))
    RETURNING c AS c
), event AS (
    INSERT INTO events (customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (c).id, 1 + coalesce((SELECT max(sequence) FROM events WHERE customer_id = :customer_id AND order_id IS NULL), 0),
        'customer.deleted', :actor, :request_id, customer_changes_json(c, NULL)
    FROM removed_customer
)
SELECT (c).id FROM removed_customer
