-- An order's events are committed in the order of their sequence. The page ends before the first one that is not shown yet.
SELECT feed.generation, found.sequence, CASE WHEN found.sequence IS NOT NULL THEN event_json(found.e)::text END
FROM (SELECT feed_generation() AS generation) AS feed
LEFT JOIN LATERAL (
    SELECT next.e, next.sequence
    FROM (
        SELECT e AS e, e.sequence, bool_and(e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())) OVER before AS shown
        FROM events AS e
        WHERE e.order_id = :order_id AND e.sequence > :sequence::bigint
          AND (:type::text IS NULL OR e.type = :type)
          AND (:customer_id::bigint IS NULL OR e.customer_id = :customer_id)
        WINDOW before AS (ORDER BY e.sequence)
        ORDER BY e.sequence
        LIMIT :rows
    ) AS next
    WHERE next.shown
) AS found ON true
ORDER BY found.sequence
