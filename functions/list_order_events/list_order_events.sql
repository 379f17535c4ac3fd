-- One row without an event for an order without (further) events, none at all for an order that does not exist.
SELECT e.id, order_event_json(e)::text
FROM orders AS o
LEFT JOIN order_events AS e ON e.order_id = o.id AND e.id > :after
WHERE o.id = :order_id
ORDER BY e.id
LIMIT :rows
