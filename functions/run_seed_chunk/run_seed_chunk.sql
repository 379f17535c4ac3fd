-- One chunk: its customers, their orders and items, and its bookkeeping, in one statement and so in one transaction.
-- Delivered again, or to two workers at once, it finds the chunk claimed and makes nothing.
WITH claimed AS (
    UPDATE seed_chunks AS k
    SET finished_at = clock_timestamp()
    FROM seed_runs AS r
    WHERE k.run_id = :run_id AND k.number = :number AND k.finished_at IS NULL
      AND r.id = k.run_id AND r.failed_at IS NULL
    RETURNING k.run_id, k.first_customer, k.last_customer, k.row_count, r.orders_per_customer, r.items_per_order
), words AS (
    SELECT
        ARRAY['Alice', 'Bruno', 'Chloe', 'Daniel', 'Elena', 'Farid', 'Grace', 'Hiro', 'Ines', 'Jonas', 'Kavya', 'Liam',
            'Mei', 'Noah', 'Olga', 'Pablo', 'Quinn', 'Rosa', 'Samir', 'Tara', 'Umut', 'Vera', 'Wanda', 'Yusuf', 'Zoe'] AS first_names,
        ARRAY['Nguyen', 'Garcia', 'Okafor', 'Schmidt', 'Rossi', 'Tanaka', 'Kowalski', 'Silva', 'Haddad', 'Larsen',
            'Novak', 'Dubois', 'Patel', 'Cohen', 'Murphy', 'Ivanova', 'Mensah', 'Kim', 'Svensson'] AS last_names,
        ARRAY['MUG-11', 'TEE-M', 'TEE-L', 'CAP-01', 'BAG-20', 'PEN-3', 'NOTE-A5', 'LAMP-7', 'DESK-120', 'CHAIR-2', 'CABLE-2M'] AS skus,
        ARRAY['pending', 'paid', 'shipped', 'delivered', 'cancelled'] AS statuses
), new_customer AS (
    INSERT INTO customers (email, name)
    SELECT lower(first_name) || '.' || lower(last_name) || '.' || ordinal || '@' || run_id || '.example.com', first_name || ' ' || last_name
    FROM claimed, words, generate_series(first_customer, last_customer) AS ordinal,
        -- Steps that share no divisor with the lists' lengths visit every pair of names.
        LATERAL (SELECT first_names[1 + (ordinal - 1) * 7 % 25] AS first_name, last_names[1 + (ordinal - 1) * 5 % 19] AS last_name) AS named
    RETURNING id
), new_order AS (
    INSERT INTO orders (customer_id, status, item_count, total_cents)
    SELECT new_customer.id, statuses[1 + (new_customer.id + position) % 5], items_per_order,
        -- The sum of the items below: an order with the right total need not be written again by the trigger.
        (SELECT sum((1 + (seed + line) % 5) * (199 + (seed * 31 + line * 577) % 9800)) FROM generate_series(1, items_per_order) AS line)
    FROM claimed, words, new_customer, generate_series(1, orders_per_customer) AS position,
        LATERAL (SELECT new_customer.id * 13 + position * 101 AS seed) AS seeded
    ORDER BY new_customer.id, position
    RETURNING id, customer_id
), numbered AS (
    SELECT id, customer_id * 13 + 101 * row_number() OVER (PARTITION BY customer_id ORDER BY id) AS seed FROM new_order
), new_item AS (
    INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
    SELECT numbered.id, skus[1 + (seed + line) % 11], 1 + (seed + line) % 5, 199 + (seed * 31 + line * 577) % 9800
    FROM claimed, words, numbered, generate_series(1, items_per_order) AS line
)
SELECT row_count FROM claimed
