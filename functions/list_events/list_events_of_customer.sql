-- As list_events.sql. The next ones of each type, of which the first ones are taken: one index serves with and without a type.
SELECT feed.generation, found.transaction_id::text::bigint, found.id, CASE WHEN found.id IS NOT NULL THEN event_json(found.e)::text END
FROM (SELECT feed_generation() AS generation) AS feed
LEFT JOIN LATERAL (
    SELECT next.*
    -- Subselects, or each plan but the one that is kept would know the number of types, and whose events are more than others'.
    FROM unnest((SELECT :event_types::text[])) AS wanted (type),
        LATERAL (
            SELECT next_of_type.*
            FROM (
                SELECT e AS e, e.transaction_id, e.id
                FROM events AS e
                WHERE e.customer_id = (SELECT :customer_id::bigint) AND e.type = wanted.type
                  AND (e.transaction_id, e.id) > (:transaction_id::xid8, :id)
                  AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY e.transaction_id, e.id
                LIMIT {most}
            ) AS next_of_type
            LIMIT :rows
        ) AS next
    ORDER BY next.transaction_id, next.id
    LIMIT :rows
) AS found ON true
ORDER BY found.transaction_id, found.id
