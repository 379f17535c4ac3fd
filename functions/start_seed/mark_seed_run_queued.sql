UPDATE seed_runs SET queued_at = now() WHERE id = :run_id
