SELECT c.number
FROM seed_chunks AS c
JOIN seed_runs AS r ON r.id = c.run_id
WHERE c.run_id = :run_id AND c.finished_at IS NULL AND r.failed_at IS NULL AND r.cancelled_at IS NULL
ORDER BY c.number
