-- An attempt is settled once: a report that comes again, or of a former round, finds another number and changes nothing.
WITH settled AS (
    UPDATE webhook_deliveries AS d
    SET attempts = d.attempts + 1,
        round_attempts = d.round_attempts + 1,
        status_code = :status_code, error = :error, duration_ms = :duration_ms,
        answer = kept_answer(before.event_id, :answer),
        attempted_at = now(),
        leased_until = NULL,
        -- A late report finds a delivery that waits to be made again.
        waiting = d.waiting AND becomes = 'pending',
        status = becomes,
        next_attempt_at = CASE WHEN becomes = 'pending' THEN least(next_at, ends_at) END,
        finished_at = CASE WHEN becomes <> 'pending' THEN now() END
    FROM webhook_deliveries AS before,
        LATERAL (
            SELECT
                before.round_began_at + make_interval(hours => :hours::integer) AS ends_at,
                now() + make_interval(secs => greatest(
                    (:pauses::float8[])[before.round_attempts + 1] * (0.8 + 0.4 * random()), :retry_after::float8
                )) AS next_at
        ) AS planned,
        LATERAL (
            SELECT CASE
                WHEN :status_code::integer BETWEEN 200 AND 299 THEN 'succeeded'
                WHEN :status_code::integer = 410 OR now() >= ends_at OR before.round_attempts >= cardinality(:pauses::float8[])
                    THEN 'failed'
                ELSE 'pending'
            END AS becomes
        ) AS decided
    WHERE before.id = :delivery AND d.id = before.id
      AND d.attempts = :attempt::integer - 1 AND d.round = :round AND d.status = 'pending'
    RETURNING d.webhook_id, d.status, d.next_attempt_at
), told_webhook AS (
    UPDATE webhooks AS w
    SET failures = CASE WHEN status = 'succeeded' THEN 0 ELSE failures + 1 END,
        failing_since = CASE WHEN status = 'succeeded' THEN NULL ELSE coalesce(failing_since, now()) END,
        (disabled_at, disabled_reason) = (
            SELECT CASE WHEN reason IS NOT NULL THEN now() END, reason
            FROM (
                SELECT CASE
                    WHEN status = 'succeeded' THEN NULL
                    WHEN :status_code::integer = 410 THEN 'The receiver answered 410: it wants no more.'
                    WHEN w.failing_since < now() - make_interval(hours => :disable_hours::integer)
                        AND w.failures + 1 >= :disable_failures::integer
                        THEN 'Nothing could be delivered for ' || :disable_hours::integer || ' hours.'
                END AS reason
            ) AS decided
        )
    FROM settled
    WHERE w.id = settled.webhook_id AND w.disabled_at IS NULL
      AND (status <> 'succeeded' OR failing_since IS NOT NULL)
    RETURNING disabled_reason
), finished_row AS (
    DELETE FROM outbox WHERE id = :outbox AND EXISTS (SELECT FROM settled WHERE status <> 'pending')
), waiting_row AS (
    UPDATE outbox SET due_at = next_attempt_at, sends = 0 FROM settled WHERE outbox.id = :outbox AND status = 'pending'
)
SELECT status, (SELECT disabled_reason IS NOT NULL FROM told_webhook) IS TRUE FROM settled
