WITH erased_customer AS (
    UPDATE customers AS c
    SET email = erased_email(c.id), name = 'erased', metadata = '{}'
    FROM customers AS customer_before
    WHERE c.id = :customer_id
      AND c.email <> erased_email(c.id)
      -- Nobody changed the customer since this statement began, so the event that it finds to be the last one is.
      AND customer_before.id = c.id AND c.xmin = customer_before.xmin
    RETURNING c AS c, customer_etag(c.xmin) AS etag
), event AS (
    INSERT INTO events (customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (c).id, 1 + coalesce((SELECT max(sequence) FROM events WHERE customer_id = :customer_id AND order_id IS NULL), 0),
        'customer.erased', :actor, :request_id, '{}'
    FROM erased_customer
)
SELECT etag, customer_json(c)::text FROM erased_customer, forget_customer((c).id)
