-- The inner limit tells the planner that few rows are wanted, and subselects hide from it whose deliveries and from where on, so
-- that no plan seems cheaper than the one that is kept.
SELECT id, document::text
FROM (
    SELECT d.id, webhook_delivery_json(d) AS document
    FROM webhook_deliveries AS d
    WHERE d.webhook_id = (SELECT :webhook_id::bigint) AND d.id < (SELECT :before::bigint)
      AND EXISTS (SELECT FROM webhook_documents WHERE id = :webhook_id)
    ORDER BY d.id DESC
    LIMIT {most}
) AS newest_first
LIMIT :rows
