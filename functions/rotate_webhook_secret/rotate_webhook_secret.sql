UPDATE webhooks AS w
SET secret = :secret_key::bytea
WHERE w.id = :webhook_id
RETURNING customer_etag(w.xmin), webhook_with_secret_json(webhook_json(
    w.id, w.url, w.types, w.description, w.disabled_at, w.disabled_reason, w.failures, w.failing_since, w.created_at
), :secret)::text
