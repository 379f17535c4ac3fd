WITH new_customer AS (
    INSERT INTO customers AS c (email, name, metadata) VALUES (:email, :name, :metadata::jsonb)
    RETURNING c AS c, c.xmin AS version
), event AS (
    INSERT INTO events (customer_id, sequence, type, actor, request_id, changes)
    SELECT (c).id, 1, 'customer.created', :actor, :request_id, customer_changes_json(NULL, c) FROM new_customer
), answer AS (
    SELECT '/api/customers/' || (c).id || '/' AS location, customer_etag(version) AS etag, customer_json(c)::text AS body
    FROM new_customer
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body, customer_id)
    SELECT :caller, :path, :key, :request_hash, location, etag, body, (c).id
    FROM answer, new_customer
    WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
