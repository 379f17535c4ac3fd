-- What was written after the backup is lost, but not the ids that clients, receivers and messages on their way have of it: an
-- event, an order or a row of the outbox under such an id would be taken for the lost one. So ids go on at the time in
-- microseconds, which no database reaches that writes less than a million rows a second. By a fixed number instead, a second
-- restore of the same backup would come to the ids of the first one.
SELECT setval(
    format('%I.%I', schemaname, sequencename)::regclass,
    greatest(last_value, (extract(epoch FROM now()) * 1000000)::bigint)
)
FROM pg_sequences
-- Somebody's own table may stand beside ours, and its sequence is not the migrator's to set.
WHERE schemaname = 'public' AND sequenceowner = current_user
