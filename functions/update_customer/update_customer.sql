WITH changed_customer AS (
    UPDATE customers AS c
    SET email = coalesce(:email, c.email), name = coalesce(:name, c.name),
        metadata = jsonb_strip_nulls(c.metadata || :metadata::jsonb)
    FROM customers AS customer_before
    WHERE c.id = :customer_id
      AND c.email <> erased_email(c.id)
      AND (coalesce(:email, c.email), coalesce(:name, c.name), jsonb_strip_nulls(c.metadata || :metadata::jsonb))
          <> (c.email, c.name, c.metadata)
      -- Nobody changed the customer since this statement began, so the event that it finds to be the last one is.
      AND customer_before.id = c.id AND c.xmin = customer_before.xmin
      AND (:if_match::text[] IS NULL OR customer_etag(c.xmin) = ANY (:if_match::text[]))
    RETURNING customer_before AS customer_before, c AS c, customer_etag(c.xmin) AS etag
), event AS (
    INSERT INTO events (customer_id, sequence, type, actor, request_id, changes)
    SELECT
        (c).id, 1 + coalesce((SELECT max(sequence) FROM events WHERE customer_id = :customer_id AND order_id IS NULL), 0),
        'customer.updated', :actor, :request_id, customer_changes_json(customer_before, c)
    FROM changed_customer
)
SELECT etag, customer_json(c)::text FROM changed_customer
