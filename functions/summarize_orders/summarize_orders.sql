-- The negated sum makes the order ascending in both keys, so that one index range serves any page.
SELECT -t.spent_cents, t.customer_id, customer_summary_json(c, t)::text
FROM customer_totals AS t
JOIN customers AS c ON c.id = t.customer_id
WHERE (-t.spent_cents, t.customer_id) > (:negative_spent, :customer_id)
ORDER BY -t.spent_cents, t.customer_id
LIMIT :rows
