-- An attempt is settled once: a report that comes again finds another number, or a mail that is finished, and changes nothing.
WITH settled AS (
    UPDATE mails AS m
    SET attempts = m.attempts + 1,
        message_id = :message_id,
        error = :error,
        leased_until = NULL,
        status = :status,
        finished_at = CASE WHEN :status::text <> 'queued' THEN now() END
    WHERE m.id = :mail AND m.attempts = :attempt::integer - 1 AND m.status = 'queued'
    RETURNING m.status, m.attempts, m.created_at
), finished_row AS (
    DELETE FROM outbox WHERE id = :outbox AND EXISTS (SELECT FROM settled WHERE status <> 'queued')
), waiting_row AS (
    UPDATE outbox
    SET sends = 0, due_at = now() + make_interval(
        secs => (0.8 + 0.4 * random()) * (:pauses::float8[])[least(attempts, cardinality(:pauses::float8[]))]
    )
    FROM settled
    WHERE id = :outbox AND status = 'queued'
)
SELECT status, extract(epoch FROM now() - created_at)::float8 FROM settled
