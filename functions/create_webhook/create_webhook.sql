WITH admission AS (
    SELECT admit_webhook(:most::integer) AS granted
), new_webhook AS (
    INSERT INTO webhooks AS w (url, types, description, secret)
    SELECT :url, :event_types::text[], :description, :secret_key::bytea FROM admission WHERE granted
    RETURNING w.id, customer_etag(w.xmin) AS etag, webhook_json(
        w.id, w.url, w.types, w.description, w.disabled_at, w.disabled_reason, w.failures, w.failing_since, w.created_at
    ) AS document
), answer AS (
    SELECT '/api/webhooks/' || id || '/' AS location, etag, document FROM new_webhook
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, webhook_with_secret_json(document, NULL)::text
    FROM answer
    WHERE :key::text IS NOT NULL
)
SELECT location, etag, webhook_with_secret_json(document, :secret)::text FROM answer
