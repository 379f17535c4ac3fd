-- One row without an event for an order without (further) events, none at all for an order that does not exist.
SELECT e.sequence, event_json(e)::text
FROM orders AS o
LEFT JOIN events AS e ON e.order_id = o.id AND e.sequence > :after::bigint
WHERE o.id = :order_id
ORDER BY e.sequence
LIMIT :rows
