-- The newest orders of customers whose address contains the needle. The handler puts in which orders are listed, and in which
-- order.
--
-- No one plan fits, and the planner cannot tell which one does: it knows nothing about parts of an address. So orders are walked
-- newest first, and further only while that finds enough customers to be worth it: many orders of one promise no others. Otherwise
-- the index on addresses finds the customers.
-- The steps are planned apart from each other, and one that is not needed reads nothing. A LIMIT of its own looks at one customer
-- at a time, where a join might read them all. Limits and keys stand in subselects: if the planner knew their values, a new plan
-- would seem cheaper than the one that is kept, and planning takes longer than most searches.
WITH near AS MATERIALIZED (
    SELECT o.id, o.customer_id
    FROM (SELECT id, customer_id FROM orders WHERE {listed} ORDER BY {newest} LIMIT 200) AS o
    CROSS JOIN LATERAL (SELECT FROM customers WHERE id = o.customer_id AND strpos(lower(email), :needle) > 0 LIMIT 1) AS c
    LIMIT (SELECT :rows::bigint)
), others AS MATERIALIZED (
    SELECT FROM orders WHERE {listed} ORDER BY {newest} OFFSET 200 LIMIT 1
), sample AS MATERIALIZED (
    -- Whether the needle is common. Customers lie together, and cost little to look at.
    SELECT count(*) >= 6 AS common
    FROM (SELECT email FROM customers ORDER BY id DESC LIMIT 400) AS c WHERE strpos(lower(email), :needle) > 0
), far AS MATERIALIZED (
    SELECT o.id, o.customer_id
    FROM (SELECT id, customer_id FROM orders WHERE {listed} ORDER BY {newest} OFFSET 200 LIMIT 1800) AS o
    CROSS JOIN LATERAL (SELECT FROM customers WHERE id = o.customer_id AND strpos(lower(email), :needle) > 0 LIMIT 1) AS c
    WHERE EXISTS (SELECT FROM others) AND (
        SELECT CASE
            WHEN count(*) = :rows THEN false
            WHEN count(DISTINCT customer_id) >= 3 THEN true
            ELSE (SELECT common FROM sample)
        END
        FROM near
    )
    LIMIT (SELECT :rows - count(*) FROM near)
), walked AS MATERIALIZED (
    SELECT * FROM near UNION ALL SELECT * FROM far
), farther AS MATERIALIZED (
    SELECT o.id
    FROM (SELECT id, customer_id FROM orders WHERE {listed} ORDER BY {newest} OFFSET 2000 LIMIT 8000) AS o
    CROSS JOIN LATERAL (SELECT FROM customers WHERE id = o.customer_id AND strpos(lower(email), :needle) > 0 LIMIT 1) AS c
    WHERE (
        SELECT CASE
            WHEN count(*) = :rows THEN false
            WHEN count(DISTINCT customer_id) >= 12 THEN true
            WHEN NOT (SELECT common FROM sample) THEN false
            -- Orders of a few customers say little about the others.
            ELSE (
                SELECT count(DISTINCT customer_id) < 200
                FROM (SELECT customer_id FROM orders WHERE {listed} ORDER BY {newest} LIMIT 2000) AS o
            )
        END
        FROM walked
    )
    LIMIT (SELECT :rows - count(*) FROM walked)
), customer AS MATERIALIZED (
    SELECT id
    FROM (
        SELECT id FROM customers WHERE lower(email) LIKE (SELECT :pattern::text) AND strpos(lower(email), :needle) > 0
        OFFSET 0
    ) AS found
    WHERE (SELECT count(*) FROM walked) + (SELECT count(*) FROM farther) < :rows
      AND EXISTS (SELECT FROM others)
), few AS MATERIALIZED (
    -- All of their orders, which are neighbours in the index, unless there are too many.
    SELECT id FROM orders WHERE customer_id = ANY (ARRAY(SELECT id FROM customer)) AND {listed} LIMIT 1000
), newest_of_customer AS MATERIALIZED (
    -- The newest orders of all are among those of the customers who ordered last.
    SELECT customer.id
    FROM customer
    CROSS JOIN LATERAL (
        SELECT id FROM orders WHERE customer_id = customer.id AND {listed} ORDER BY {newest} LIMIT 1
    ) AS o
    WHERE (SELECT count(*) FROM few) = 1000
    ORDER BY o.id DESC
    LIMIT (SELECT :rows::bigint)
), found AS (
    SELECT id FROM walked
    UNION SELECT id FROM farther
    UNION (SELECT id FROM few WHERE (SELECT count(*) FROM few) < 1000 ORDER BY id DESC LIMIT (SELECT :rows::bigint))
    UNION SELECT o.id
    FROM newest_of_customer AS customer
    CROSS JOIN LATERAL (
        SELECT id FROM orders WHERE customer_id = customer.id AND {listed} ORDER BY {newest} LIMIT (SELECT :rows::bigint)
    ) AS o
)
SELECT id, (SELECT document::text FROM order_documents AS d WHERE d.id = found.id)
FROM found
ORDER BY id DESC
LIMIT (SELECT :rows::bigint)
