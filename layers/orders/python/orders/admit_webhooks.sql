-- Gives deliveries that wait a row in the outbox, the oldest first, as far as their webhook has room. Those of webhooks that are
-- disabled or deleted are cancelled. Where nothing waits, this is a probe of an empty index.
WITH RECURSIVE waited_for (id) AS (
    -- One webhook after the other. The order by both columns leaves only the index of those that wait, however many PostgreSQL
    -- thinks that there are.
    (SELECT webhook_id FROM webhook_deliveries WHERE waiting ORDER BY webhook_id, id LIMIT 1)
    UNION ALL
    SELECT next.webhook_id
    FROM waited_for, LATERAL (
        SELECT d.webhook_id FROM webhook_deliveries AS d
        WHERE d.webhook_id > waited_for.id AND d.waiting
        ORDER BY d.webhook_id, d.id
        LIMIT 1
    ) AS next
), backlog AS MATERIALIZED (
    SELECT waited_for.id, w.id IS NOT NULL AS wanted,
        CASE WHEN w.id IS NOT NULL THEN webhook_room(w.id, w.failing_since) ELSE :most_cancelled::integer END AS room
    FROM waited_for
    LEFT JOIN webhooks AS w ON w.id = waited_for.id AND w.disabled_at IS NULL
), chosen AS MATERIALIZED (
    SELECT oldest.id, backlog.wanted
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
    WHERE id = ANY (ARRAY(SELECT id FROM chosen WHERE wanted))
    RETURNING id, round
), cancelled AS (
    UPDATE webhook_deliveries
    SET waiting = false, status = 'cancelled', finished_at = now(), next_attempt_at = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM chosen WHERE NOT wanted))
)
INSERT INTO outbox (queue, body)
SELECT 'webhooks', jsonb_build_object('delivery', id, 'round', round) FROM admitted ORDER BY id
