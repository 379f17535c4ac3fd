-- The negated sum makes the order ascending in both keys, so that one index range serves any page.
SELECT
    -t.spent_cents,
    t.customer_id,
    json_build_object(
        'customer_id', c.id, 'email', c.email, 'name', c.name,
        'order_count', t.order_count, 'item_count', t.item_count, 'total_spent_cents', t.spent_cents
    )::text
FROM customer_totals AS t
JOIN customers AS c ON c.id = t.customer_id
WHERE (-t.spent_cents, t.customer_id) > (:negative_spent, :customer_id)
ORDER BY -t.spent_cents, t.customer_id
LIMIT :rows
