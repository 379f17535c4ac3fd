-- The negated sum makes the order ascending in both keys, so that one index range serves any page. Customers with deltas, who
-- are few, have another place in the order than in the index: that passes them over, and their sums are computed and merged in.
-- The inner limits tell the planner that few rows are wanted, and a subselect hides from it where that is one, so that the plan
-- that is kept seems cheap enough to be used.
WITH pending AS MATERIALIZED (
    SELECT
        customer_id,
        sum(order_count)::bigint AS order_count,
        sum(item_count)::bigint AS item_count,
        sum(spent_cents)::bigint AS spent_cents
    FROM customer_total_deltas
    GROUP BY customer_id
), indexed AS (
    SELECT -spent_cents AS negative_spent, customer_id, order_count, item_count, spent_cents
    FROM customer_totals
    WHERE (-spent_cents, customer_id) > (:negative_spent, :customer_id)
      AND customer_id NOT IN (SELECT customer_id FROM pending)
    ORDER BY -spent_cents, customer_id
    LIMIT {most}
), summed AS (
    SELECT
        -(t.spent_cents + pending.spent_cents) AS negative_spent,
        pending.customer_id,
        t.order_count + pending.order_count AS order_count,
        t.item_count + pending.item_count AS item_count,
        t.spent_cents + pending.spent_cents AS spent_cents
    FROM pending
    -- One customer at a time: a join might read the totals of all.
    CROSS JOIN LATERAL (SELECT * FROM customer_totals WHERE customer_id = pending.customer_id OFFSET 0) AS t
), page AS (
    SELECT * FROM indexed
    UNION ALL
    SELECT * FROM summed WHERE (negative_spent, customer_id) > (:negative_spent, :customer_id)
    ORDER BY negative_spent, customer_id
    LIMIT {most}
)
SELECT
    page.negative_spent,
    page.customer_id,
    customer_summary_json(
        c, ROW(page.customer_id, page.order_count, page.item_count, page.spent_cents)::customer_totals
    )::text
FROM page
JOIN customers AS c ON c.id = page.customer_id
ORDER BY page.negative_spent, page.customer_id
LIMIT (SELECT :rows::bigint)
