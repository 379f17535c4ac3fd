-- One row without an event where there are none (yet). The inner limit tells the planner that few rows are wanted, so that the
-- plan that is kept seems cheap enough to be used.
SELECT feed.generation, found.transaction_id::text::bigint, found.id, CASE WHEN found.id IS NOT NULL THEN event_json(found.e)::text END
FROM (SELECT feed_generation() AS generation) AS feed
LEFT JOIN LATERAL (
    SELECT next.*
    FROM (
        SELECT e AS e, e.transaction_id, e.id
        FROM events AS e
        WHERE (e.transaction_id, e.id) > (:transaction_id::xid8, :id)
          -- For the index: see its definition.
          AND e.sequence > 0
          -- Whatever commits later comes after these.
          AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY e.transaction_id, e.id
        LIMIT {most}
    ) AS next
    LIMIT :rows
) AS found ON true
ORDER BY found.transaction_id, found.id
