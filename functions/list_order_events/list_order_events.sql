-- One row without an event for an order without (further) events, none at all for an order that does not exist.
SELECT
    e.id,
    json_build_object('id', e.id, 'type', e.type, 'actor', e.actor, 'request_id', e.request_id, 'at', e.at, 'changes', e.changes)::text
FROM orders AS o
LEFT JOIN order_events AS e ON e.order_id = o.id AND e.id > :after
WHERE o.id = :order_id
ORDER BY e.id
LIMIT :rows
