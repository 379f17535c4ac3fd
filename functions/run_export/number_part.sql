UPDATE exports SET last_part = last_part + 1
WHERE id = :export_id AND worker = :worker AND status = 'running'
RETURNING last_part
