DELETE FROM customers AS c
WHERE c.id = :customer_id
  AND NOT EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.id)
  AND (:if_match::text[] IS NULL OR customer_etag(c.xmin) = ANY (:if_match::text[]))
RETURNING c.id
