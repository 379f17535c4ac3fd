UPDATE exports
SET first_position = :position, position = :position, upload_id = :upload_id, snapshot_at = :snapshot_at::timestamptz,
    rows = 0, bytes = 0, parts = '[]', tail = NULL, consistent = true
WHERE id = :export_id AND worker = :worker AND status = 'running'
RETURNING id
