UPDATE seed_runs AS r
SET cancelled_at = now()
WHERE r.id = :run_id AND r.failed_at IS NULL AND r.cancelled_at IS NULL
  AND EXISTS (SELECT FROM seed_chunks AS c WHERE c.run_id = r.id AND c.finished_at IS NULL)
