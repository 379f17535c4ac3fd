-- One row without a mail for an order without (further) mails, none at all for an order that does not exist. The mails are limited
-- where they are read: the planner expects few of an order, and would read and sort all of them.
SELECT m.id, mail_json(m.m)::text
FROM orders AS o
LEFT JOIN LATERAL (
    SELECT m AS m, m.id FROM mails AS m WHERE m.order_id = o.id AND m.id > :after::bigint ORDER BY m.id LIMIT :rows
) AS m ON true
WHERE o.id = :order_id
ORDER BY m.id
