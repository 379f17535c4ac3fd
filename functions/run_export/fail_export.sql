WITH failed AS (
    UPDATE exports SET status = 'failed', finished_at = now(), error = :error
    WHERE id = :export_id AND status IN ('queued', 'running')
)
DELETE FROM outbox WHERE id = :outbox_id
