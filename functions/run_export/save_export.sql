-- How far the export is. If this invocation ends here, its row of the outbox becomes the next one's.
WITH saved AS (
    UPDATE exports
    SET position = :position, rows = :rows, bytes = :bytes, parts = :parts::jsonb, tail = :tail
    WHERE id = :export_id AND worker = :worker AND status = 'running'
    RETURNING id
), taken AS (
    DELETE FROM outbox WHERE id = :outbox_id AND :ends AND EXISTS (SELECT FROM saved) RETURNING id
), message AS (
    INSERT INTO outbox (queue, body)
    SELECT 'exporting', jsonb_build_object('export', saved.id) FROM saved, taken
)
SELECT id FROM saved
