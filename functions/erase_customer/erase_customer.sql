WITH locked_customer AS (
    -- Whoever stores an answer with the customer in it holds KEY SHARE. Those before this lock are among what is rewritten, and
    -- those after it read the customer anew. The weaker lock of an UPDATE would let them go on with the former address.
    SELECT c.id FROM customers AS c WHERE c.id = :customer_id FOR UPDATE
), erased_customer AS (
    UPDATE customers AS c
    SET email = erased_email(c.id), name = 'erased', metadata = '{}'
    FROM locked_customer, customers AS customer_before
    WHERE c.id = locked_customer.id
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
