-- Cancels what is unfinished and removes what has ended. Its worker then deletes what there is of the file.
WITH cancelled AS (
    UPDATE exports AS e
    SET status = 'cancelled', finished_at = now()
    WHERE e.id = :export_id AND e.kind = ANY (:kinds::text[]) AND e.status IN ('queued', 'running')
    RETURNING e AS e
), removed AS (
    DELETE FROM exports AS e
    WHERE e.id = :export_id AND e.kind = ANY (:kinds::text[]) AND e.status NOT IN ('queued', 'running')
    RETURNING e AS e
), ended AS (
    SELECT e FROM cancelled UNION ALL SELECT e FROM removed
), message AS (
    INSERT INTO outbox (queue, body, due_at)
    SELECT 'exporting', removal.body, removal.due_at FROM ended, export_removals(e) AS removal
)
-- As it was before. A refusal depends on which kind it is.
SELECT kind, EXISTS (SELECT FROM ended) AS ended FROM exports WHERE id = :export_id
