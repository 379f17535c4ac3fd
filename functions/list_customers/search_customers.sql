-- The newest customers whose address contains the needle. As in search_orders.sql the newest are walked first, further only
-- while that finds enough to be worth it, and otherwise the index on addresses finds them.
WITH near AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC LIMIT 500) AS c
    WHERE strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows::bigint)
), far AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 500 LIMIT 19500) AS c
    WHERE (SELECT count(*) FROM near) BETWEEN 2 AND :rows - 1 AND strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows - count(*) FROM near)
), anywhere AS MATERIALIZED (
    SELECT id
    FROM (
        SELECT id FROM customers
        WHERE lower(email) LIKE (SELECT :pattern::text) AND strpos(lower(email), :needle) > 0 AND id < (SELECT :before::bigint)
        OFFSET 0
    ) AS customer
    WHERE (SELECT count(*) FROM near) + (SELECT count(*) FROM far) < :rows
      AND EXISTS (SELECT FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 500 LIMIT 1)
    ORDER BY id DESC
    LIMIT (SELECT :rows::bigint)
), found AS (
    SELECT id FROM near
    UNION SELECT id FROM far
    UNION SELECT id FROM anywhere
)
SELECT id, (SELECT customer_json(c)::text FROM customers AS c WHERE c.id = found.id)
FROM found
ORDER BY id DESC
LIMIT (SELECT :rows::bigint)
