-- One row without a mail for an order without (further) mails, none at all for an order that does not exist.
SELECT m.id, mail_json(m)::text
FROM orders AS o
LEFT JOIN mails AS m ON m.order_id = o.id AND m.id > :after::bigint
WHERE o.id = :order_id
ORDER BY m.id
LIMIT :rows
