UPDATE seed_runs SET failed_at = now(), error = :error WHERE id = :run_id AND failed_at IS NULL
