WITH new_delivery AS (
    INSERT INTO webhook_deliveries AS d (webhook_id, type)
    SELECT id, 'webhook.test' FROM webhook_documents WHERE id = :webhook_id AND enabled
    RETURNING d AS d
), message AS (
    INSERT INTO outbox (queue, body)
    SELECT 'webhooks', jsonb_build_object('delivery', (d).id, 'round', (d).round) FROM new_delivery
)
SELECT webhook_delivery_json(d)::text FROM new_delivery
