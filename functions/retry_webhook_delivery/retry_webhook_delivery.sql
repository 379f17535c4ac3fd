WITH reopened AS (
    UPDATE webhook_deliveries AS d
    SET status = 'pending', round = d.round + 1, round_attempts = 0, round_began_at = now(),
        leased_until = NULL, waiting = false, next_attempt_at = now(), finished_at = NULL
    WHERE d.id = :delivery_id AND d.webhook_id = :webhook_id
      AND EXISTS (SELECT FROM webhook_documents WHERE id = :webhook_id AND enabled)
    RETURNING d AS d
), message AS (
    INSERT INTO outbox (queue, body)
    SELECT 'webhooks', jsonb_build_object('delivery', (d).id, 'round', (d).round) FROM reopened
)
SELECT webhook_delivery_json(d)::text FROM reopened
