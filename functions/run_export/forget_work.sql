DELETE FROM outbox WHERE id = :outbox_id
