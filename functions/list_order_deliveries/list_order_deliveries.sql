-- A page looks at so many events at most, whatever was told of them; where there may be more, its last row has no delivery and says
-- how far it went. One row of nulls if there is nothing (more), none at all for an order that does not exist.
WITH looked_at AS MATERIALIZED (
    SELECT id, sequence FROM events
    WHERE order_id = :order_id AND sequence >= :sequence::bigint
    ORDER BY sequence
    LIMIT :rows
), found AS (
    SELECT e.sequence, d.id, webhook_delivery_json(d)::text AS document
    FROM looked_at AS e
    JOIN webhook_deliveries AS d ON d.event_id = e.id
    WHERE (e.sequence, d.id) > (:sequence::bigint, :after::bigint)
    ORDER BY e.sequence, d.id
    LIMIT :rows
), page AS (
    SELECT sequence, id, document FROM found
    UNION ALL
    SELECT max(sequence) + 1, 0, NULL FROM looked_at HAVING count(*) = :rows
)
SELECT page.sequence, page.id, page.document
FROM orders AS o
LEFT JOIN page ON true
WHERE o.id = :order_id
ORDER BY page.sequence, page.id
