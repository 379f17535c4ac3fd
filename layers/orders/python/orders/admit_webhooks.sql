-- Gives deliveries that wait a row in the outbox, the oldest first, as far as their webhook has room. Those of disabled
-- webhooks are cancelled. Where nothing waits, this is a probe of an empty index for each webhook.
WITH backlog AS MATERIALIZED (
    SELECT w.id, w.disabled_at IS NOT NULL AS disabled,
        CASE WHEN w.disabled_at IS NULL THEN webhook_room(w.id, w.failing_since) ELSE :most_cancelled::integer END AS room
    FROM webhooks AS w
    -- The order by both leaves only the index of those that wait, however many PostgreSQL thinks that there are.
    WHERE w.id = (
        SELECT d.webhook_id FROM webhook_deliveries AS d
        WHERE (d.webhook_id, d.id) > (w.id, 0) AND d.waiting
        ORDER BY d.webhook_id, d.id
        LIMIT 1
    )
), chosen AS MATERIALIZED (
    SELECT oldest.id, backlog.disabled
    FROM backlog, LATERAL (
        SELECT d.id FROM webhook_deliveries AS d
        WHERE d.webhook_id = backlog.id AND d.waiting
        ORDER BY d.id
        LIMIT greatest(backlog.room, 0)
        FOR UPDATE SKIP LOCKED
    ) AS oldest
), admitted AS (
    -- On their way from now on, so that the next pass admits no others in their place before these have been claimed.
    UPDATE webhook_deliveries
    SET waiting = false, leased_until = now() + make_interval(secs => :lease::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM chosen WHERE NOT disabled))
    RETURNING id, round
), cancelled AS (
    UPDATE webhook_deliveries
    SET waiting = false, status = 'cancelled', finished_at = now(), next_attempt_at = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM chosen WHERE disabled))
)
INSERT INTO outbox (queue, body)
SELECT 'webhooks', jsonb_build_object('delivery', id, 'round', round) FROM admitted ORDER BY id
