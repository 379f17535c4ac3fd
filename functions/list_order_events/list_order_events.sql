-- One row without an event for an order without (further) events, none at all for an order that does not exist. The events are
-- limited where they are read: the planner expects few of an order, and would read and sort all of them.
SELECT e.sequence, event_json(e.e)::text
FROM orders AS o
LEFT JOIN LATERAL (
    SELECT e AS e, e.sequence
    FROM events AS e
    WHERE e.order_id = o.id AND e.sequence > :after::bigint
    ORDER BY e.sequence
    LIMIT :rows
) AS e ON true
WHERE o.id = :order_id
ORDER BY e.sequence
