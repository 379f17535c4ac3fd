-- What is sent for these rows of the outbox. Rows of what is gone, settled or asked for anew are deleted, and so are those of
-- disabled webhooks. One webhook has only so many messages on their way, the fewer while it fails; the rest waits outside of
-- the outbox, so that the relay need not look at it again and again.
WITH asked AS (
    SELECT id AS outbox_id, (body ->> 'delivery')::bigint AS delivery_id, (body ->> 'round')::integer AS round
    FROM outbox
    WHERE id = ANY (:ids::bigint[])
), wanted AS MATERIALIZED (
    SELECT a.outbox_id, d, w, row_number() OVER (PARTITION BY (d).webhook_id ORDER BY a.outbox_id) AS place
    FROM asked AS a
    JOIN webhook_deliveries AS d ON d.id = a.delivery_id AND d.round = a.round AND d.status = 'pending'
        AND webhook_body(d) IS NOT NULL
    JOIN webhooks AS w ON w.id = d.webhook_id AND w.disabled_at IS NULL
), room AS MATERIALIZED (
    -- Those that are on their way already have their own places.
    SELECT webhook_id, webhook_room(webhook_id, failing_since) + of_these AS room
    FROM (
        SELECT (d).webhook_id, (w).failing_since, count(*) FILTER (WHERE (d).leased_until > now()) AS of_these
        FROM wanted
        GROUP BY 1, 2
    ) AS each_webhook
), admitted AS MATERIALIZED (
    SELECT wanted.* FROM wanted JOIN room ON room.webhook_id = (d).webhook_id WHERE place <= room
), leased AS (
    UPDATE webhook_deliveries SET leased_until = now() + make_interval(secs => :lease::float8)
    WHERE id = ANY (ARRAY(SELECT (d).id FROM admitted))
), leased_row AS (
    UPDATE outbox SET due_at = now() + make_interval(secs => :lease::float8)
    WHERE id = ANY (ARRAY(SELECT outbox_id FROM admitted))
), waiting AS (
    UPDATE webhook_deliveries AS d
    SET waiting = true, leased_until = NULL
    FROM wanted
    WHERE d.id = (wanted.d).id AND d.round = (wanted.d).round AND d.status = 'pending'
      AND wanted.outbox_id NOT IN (SELECT outbox_id FROM admitted)
), cancelled AS (
    UPDATE webhook_deliveries AS d
    SET status = 'cancelled', finished_at = now(), next_attempt_at = NULL, leased_until = NULL
    FROM asked AS a
    WHERE d.id = a.delivery_id AND d.round = a.round AND d.status = 'pending'
      AND a.outbox_id NOT IN (SELECT outbox_id FROM wanted)
), dropped_row AS (
    DELETE FROM outbox
    WHERE id = ANY (ARRAY(SELECT outbox_id FROM asked EXCEPT SELECT outbox_id FROM admitted))
)
SELECT
    outbox_id, (d).id, (d).round, (d).attempts + 1, (w).url, coalesce((d).event_id::text, 'test-' || (d).id), webhook_body(d)::text,
    array_remove(ARRAY[
        encode((w).secret, 'base64'), CASE WHEN (w).former_secret_until > now() THEN encode((w).former_secret, 'base64') END
    ], NULL)
FROM admitted
-- One webhook's together, so that those that are slow hold the same worker.
ORDER BY (d).webhook_id, outbox_id
