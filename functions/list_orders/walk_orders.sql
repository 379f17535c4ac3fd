-- The same for a needle that the index on addresses knows nothing about: a part of the orders is walked. If that ends before the
-- page is full, the last row says where, and has no document.
WITH found AS MATERIALIZED (
    SELECT o.id
    FROM (SELECT id, customer_id FROM orders WHERE {listed} ORDER BY {newest} LIMIT 2000) AS o
    CROSS JOIN LATERAL (SELECT FROM customers WHERE id = o.customer_id AND strpos(lower(email), :needle) > 0 LIMIT 1) AS c
    LIMIT (SELECT :rows::bigint)
)
SELECT id, document FROM (
    SELECT id, (SELECT document::text FROM order_documents AS d WHERE d.id = found.id) AS document FROM found
    UNION ALL
    SELECT id, NULL FROM (SELECT id FROM orders WHERE {listed} ORDER BY {newest} OFFSET 1999 LIMIT 1) AS last
    WHERE (SELECT count(*) FROM found) < :rows
) AS page
ORDER BY id DESC, document
