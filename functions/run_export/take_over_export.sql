-- Whoever had the export before can change nothing any more. No row if its work has been done, or is not wanted any more.
UPDATE exports AS e
SET status = 'running', worker = e.worker + 1, consistent = e.consistent AND coalesce(e.position = e.first_position, true)
WHERE e.id = :export_id AND e.status IN ('queued', 'running') AND EXISTS (SELECT FROM outbox WHERE id = :outbox_id)
RETURNING
    e.worker,
    e.kind,
    e.format,
    (SELECT json_object_agg(key, quote_literal(value)) FROM json_each_text(e.filters))::text,
    export_key(e),
    e.upload_id,
    e.first_position,
    e.position,
    e.rows,
    e.bytes,
    e.parts::text,
    e.tail
