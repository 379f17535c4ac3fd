-- What was written after the backup is lost, but not the ids that clients, receivers and messages on their way have of it: an
-- event, an order or a row of the outbox under such an id would be taken for the lost one. Nobody has lost a billion rows.
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, (coalesce(last_value, 0) / 1000000000 + 2) * 1000000000)
FROM pg_sequences
WHERE schemaname = 'public'
