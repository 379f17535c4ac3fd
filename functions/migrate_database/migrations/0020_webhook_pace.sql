-- For how quickly a webhook's receiver answers: see webhook_room. Of a webhook without attempts it has nothing.
-- IF NOT EXISTS for tables too large to lock: see CONTRIBUTING.
CREATE INDEX IF NOT EXISTS webhook_deliveries_attempted ON webhook_deliveries (webhook_id, attempted_at)
WHERE attempted_at IS NOT NULL;
