-- A dump brings transaction ids of the server it was made of. The feed would not show those that this server has not reached
-- yet, and later show them after newer events. By the lowest one, all events are committed, and in the order of their ids.
UPDATE events SET transaction_id = '3'
WHERE EXISTS (SELECT FROM events WHERE transaction_id > pg_current_xact_id() AND sequence > 0)
