-- The newest orders of customers whose address contains the needle. What newest_first stands for is put in by the handler: which
-- orders are listed, and in which order.
--
-- No one plan fits, and the planner cannot tell which one does: it knows nothing about parts of an address. So orders are walked
-- newest first, and further only while that finds enough to be worth it. Otherwise the index on addresses finds the customers.
-- The steps are planned apart from each other, and one that is not needed reads nothing. A subselect looks at one customer at a
-- time, where a join might read them all. Limits and keys stand in subselects: if the planner knew their values, a new plan would
-- seem cheaper than the one that is kept, and planning takes longer than most searches.
WITH near AS MATERIALIZED (
    SELECT id FROM (SELECT id, customer_id FROM orders WHERE {newest_first} LIMIT 200) AS o
    WHERE (SELECT strpos(lower(email), :needle) > 0 FROM customers WHERE id = o.customer_id)
    LIMIT (SELECT :rows::bigint)
), far AS MATERIALIZED (
    SELECT id FROM (SELECT id, customer_id FROM orders WHERE {newest_first} OFFSET 200 LIMIT 1800) AS o
    WHERE (SELECT count(*) FROM near) BETWEEN 3 AND :rows - 1
      AND (SELECT strpos(lower(email), :needle) > 0 FROM customers WHERE id = o.customer_id)
    LIMIT (SELECT :rows::bigint)
), farther AS MATERIALIZED (
    SELECT id FROM (SELECT id, customer_id FROM orders WHERE {newest_first} OFFSET 2000 LIMIT 8000) AS o
    WHERE (SELECT count(*) FROM near) + (SELECT count(*) FROM far) BETWEEN 12 AND :rows - 1
      AND (SELECT strpos(lower(email), :needle) > 0 FROM customers WHERE id = o.customer_id)
    LIMIT (SELECT :rows::bigint)
), newest_of_customer AS MATERIALIZED (
    -- The newest orders of all are among those of the customers who ordered last.
    SELECT customer.id
    FROM (
        SELECT id FROM customers WHERE lower(email) LIKE (SELECT :pattern::text) AND strpos(lower(email), :needle) > 0
        OFFSET 0
    ) AS customer
    CROSS JOIN LATERAL (SELECT id FROM orders WHERE customer_id = customer.id AND {newest_first} LIMIT 1) AS o
    WHERE (SELECT count(*) FROM near) + (SELECT count(*) FROM far) + (SELECT count(*) FROM farther) < :rows
      AND EXISTS (SELECT FROM orders WHERE {newest_first} OFFSET 200 LIMIT 1)
    ORDER BY o.id DESC
    LIMIT (SELECT :rows::bigint)
), found AS (
    SELECT id FROM near
    UNION SELECT id FROM far
    UNION SELECT id FROM farther
    UNION SELECT o.id
    FROM newest_of_customer AS customer
    CROSS JOIN LATERAL (
        SELECT id FROM orders WHERE customer_id = customer.id AND {newest_first} LIMIT (SELECT :rows::bigint)
    ) AS o
)
SELECT id, (SELECT document::text FROM order_documents AS d WHERE d.id = found.id)
FROM found
ORDER BY id DESC
LIMIT (SELECT :rows::bigint)
