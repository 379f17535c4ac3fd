WITH webhook AS (
    SELECT id FROM webhook_documents WHERE id = :webhook_id AND enabled
), undelivered AS MATERIALIZED (
    SELECT d.id
    FROM webhook_deliveries AS d
    JOIN webhook ON webhook.id = d.webhook_id
    WHERE d.status IN ('failed', 'cancelled') AND d.created_at >= :since::timestamptz
    ORDER BY d.id
    LIMIT :most::integer + 1
), reopened AS (
    UPDATE webhook_deliveries AS d
    SET status = 'pending', round = d.round + 1, round_attempts = 0, round_began_at = now(),
        leased_until = NULL, waiting = true, next_attempt_at = now(), finished_at = NULL
    WHERE d.id = ANY (ARRAY(SELECT id FROM undelivered ORDER BY id LIMIT :most::integer)) AND d.status IN ('failed', 'cancelled')
    RETURNING d.id
), answer AS (
    SELECT
        '/api/webhooks/' || id || '/deliveries/' AS location,
        NULL AS etag,
        to_json(counted)::text AS body
    FROM webhook, (
        SELECT
            (SELECT count(*) FROM reopened) AS deliveries,
            (SELECT count(*) FROM undelivered) > :most::integer AS remaining
    ) AS counted
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
