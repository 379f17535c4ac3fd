SELECT
    customer_etag(c.xmin),
    customer_json(c)::text,
    c.email = erased_email(c.id),
    EXISTS (SELECT FROM orders AS o WHERE o.customer_id = c.id)
FROM customers AS c
WHERE c.id = :customer_id
