WITH finished AS (
    UPDATE exports
    SET status = 'succeeded', finished_at = now(), expires_at = now() + make_interval(days => :days), position = 0,
        rows = :rows, bytes = :bytes
    WHERE id = :export_id AND worker = :worker AND status = 'running'
    RETURNING id
), taken AS (
    DELETE FROM outbox WHERE id = :outbox_id AND EXISTS (SELECT FROM finished)
)
SELECT id FROM finished
