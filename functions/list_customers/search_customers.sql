-- The newest customers whose address contains the needle. As in search_orders.sql the newest are walked first, further only
-- while that finds enough to be worth it, and otherwise the index on addresses finds them.
WITH near AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC LIMIT 500) AS c
    WHERE strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows::bigint)
), sample AS MATERIALIZED (
    -- Whether the needle is common, in two places: those of one may have come together, from elsewhere than the others.
    -- Both would lie in the gap that a restore leaves in the ids. So where the second quarter is empty, they lie on that side
    -- of the gap which has more ids.
    SELECT min(customers) >= 3 AS common
    FROM (SELECT min(id) AS oldest, max(id) AS newest FROM customers WHERE id < (SELECT :before::bigint)) AS ends,
        LATERAL (SELECT max(id) AS last FROM customers WHERE id <= oldest + (newest - oldest) / 2) AS lower_half,
        LATERAL (SELECT min(id) AS next FROM customers WHERE id > last AND id < (SELECT :before::bigint)) AS upper_half,
        LATERAL (
            SELECT first, span
            FROM (VALUES
                (oldest, CASE WHEN last < oldest + (newest - oldest) / 4 THEN last ELSE newest END - oldest),
                (next, newest - next)
            ) AS side (first, span)
            ORDER BY span DESC
            LIMIT 1
        ) AS ids,
        unnest(ARRAY[first + span / 3, first + span - span / 3]) AS place,
        LATERAL (
            SELECT count(*) AS customers
            FROM (SELECT email FROM customers WHERE id <= place ORDER BY id DESC LIMIT 200) AS c
            WHERE strpos(lower(email), :needle) > 0
        ) AS there
), far AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 500 LIMIT 19500) AS c
    WHERE (
        SELECT CASE WHEN count(*) = :rows THEN false WHEN count(*) >= 2 THEN true ELSE (SELECT common FROM sample) END FROM near
    ) AND strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows - count(*) FROM near)
), walked AS MATERIALIZED (
    SELECT id FROM near UNION ALL SELECT id FROM far
), farther AS MATERIALIZED (
    SELECT id FROM (SELECT id, email FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 20000 LIMIT 180000) AS c
    WHERE (SELECT CASE WHEN count(*) = :rows THEN false ELSE (SELECT common FROM sample) END FROM walked)
      AND strpos(lower(email), :needle) > 0
    LIMIT (SELECT :rows - count(*) FROM walked)
), anywhere AS MATERIALIZED (
    SELECT id
    FROM (
        SELECT id FROM customers
        WHERE lower(email) LIKE (SELECT :pattern::text) AND strpos(lower(email), :needle) > 0 AND id < (SELECT :before::bigint)
        OFFSET 0
    ) AS customer
    WHERE (SELECT count(*) FROM walked) + (SELECT count(*) FROM farther) < :rows
      AND EXISTS (SELECT FROM customers WHERE id < (SELECT :before::bigint) ORDER BY id DESC OFFSET 500 LIMIT 1)
    ORDER BY id DESC
    LIMIT (SELECT :rows::bigint)
), found AS (
    SELECT id FROM walked
    UNION SELECT id FROM farther
    UNION SELECT id FROM anywhere
)
SELECT id, (SELECT customer_json(c)::text FROM customers AS c WHERE c.id = found.id)
FROM found
ORDER BY id DESC
LIMIT (SELECT :rows::bigint)
