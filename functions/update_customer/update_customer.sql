UPDATE customers AS c
SET email = coalesce(:email, c.email), name = coalesce(:name, c.name)
WHERE c.id = :customer_id
  AND (:if_match::text[] IS NULL OR customer_etag(c.xmin) = ANY (:if_match::text[]))
RETURNING customer_etag(c.xmin), customer_json(c)::text
