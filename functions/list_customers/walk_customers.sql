-- The same for a needle that the index on addresses knows nothing about: a part of the customers is walked. If that ends before
-- the page is full, the last row says where, and has no document.
WITH found AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC LIMIT 10000) AS c
    WHERE strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows::bigint)
)
SELECT id, document FROM (
    SELECT id, (SELECT customer_json(c)::text FROM customers AS c WHERE c.id = found.id) AS document FROM found
    UNION ALL
    SELECT id, NULL FROM (SELECT id FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 9999 LIMIT 1) AS last
    WHERE (SELECT count(*) FROM found) < :rows
) AS page
ORDER BY id DESC, document
