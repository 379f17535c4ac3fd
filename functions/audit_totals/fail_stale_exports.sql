WITH failed_export AS (
    UPDATE exports SET status = 'failed', finished_at = now(), error = 'The worker never finished it.'
    WHERE status IN ('queued', 'running') AND created_at < now() - make_interval(hours => :hours::integer)
    RETURNING 1
)
SELECT count(*) FROM failed_export
