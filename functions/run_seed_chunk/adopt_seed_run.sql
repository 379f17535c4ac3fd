INSERT INTO outbox (queue, body)
SELECT 'seeding', jsonb_build_object('run', c.run_id, 'chunk', c.number)
FROM seed_chunks AS c
JOIN seed_runs AS r ON r.id = c.run_id
WHERE c.run_id = :run_id AND c.finished_at IS NULL AND r.failed_at IS NULL AND r.cancelled_at IS NULL
  AND NOT EXISTS (
      SELECT FROM outbox
      WHERE queue = 'seeding' AND body = jsonb_build_object('run', c.run_id, 'chunk', c.number)
  )
ORDER BY c.number
