WITH new_customer AS (
    INSERT INTO customers AS c (email, name) VALUES (:email, :name)
    RETURNING c AS c, c.xmin AS version
), answer AS (
    SELECT '/api/customers/' || (c).id || '/' AS location, customer_etag(version) AS etag, customer_json(c)::text AS body
    FROM new_customer
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
