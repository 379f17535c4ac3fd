WITH failed_run AS (
    UPDATE seed_runs SET failed_at = now(), error = :error
    WHERE id = :run_id AND failed_at IS NULL AND cancelled_at IS NULL
)
DELETE FROM outbox WHERE id = :outbox_id
