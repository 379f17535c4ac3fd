SELECT d.id, webhook_delivery_json(d)::text
FROM webhook_deliveries AS d
WHERE d.webhook_id = :webhook_id AND d.id < :before AND EXISTS (SELECT FROM webhook_documents WHERE id = :webhook_id)
ORDER BY d.id DESC
LIMIT :rows
