-- One chunk: its customers, their orders and items, and its bookkeeping, in one statement and so in one transaction.
-- The outbox row is the right to do it: a second delivery, or a second worker at once, finds none and makes nothing.
WITH taken AS (
    DELETE FROM outbox WHERE id = :outbox_id RETURNING id
), chunk AS (
    UPDATE seed_chunks AS k
    SET finished_at = clock_timestamp()
    FROM taken, seed_runs AS r
    WHERE k.run_id = :run_id AND k.number = :number AND k.finished_at IS NULL
      AND r.id = k.run_id AND r.failed_at IS NULL AND r.cancelled_at IS NULL
    RETURNING k.run_id, k.first_customer, k.last_customer, k.row_count, r.items_per_order,
        1 + k.last_customer - k.first_customer AS customers,
        (1 + k.last_customer - k.first_customer)::bigint * r.orders_per_customer AS orders,
        r.customers::float8 AS run_customers, r.made_since, r.created_at - r.made_since AS made_within
), vocabulary AS (
    SELECT
        ARRAY['Alice', 'Bruno', 'Chloe', 'Daniel', 'Elena', 'Farid', 'Grace', 'Hiro', 'Ines', 'Jonas', 'Kavya', 'Liam', 'Mei',
            'Noah', 'Olga', 'Pablo', 'Quinn', 'Rosa', 'Samir', 'Tara', 'Umut', 'Vera', 'Wanda', 'Yusuf', 'Zoe'] AS first_names,
        ARRAY['Nguyen', 'Garcia', 'Okafor', 'Schmidt', 'Rossi', 'Tanaka', 'Kowalski', 'Silva', 'Haddad', 'Larsen',
            'Novak', 'Dubois', 'Patel', 'Cohen', 'Murphy', 'Ivanova', 'Mensah', 'Kim', 'Svensson'] AS last_names,
        ARRAY['MUG-11', 'TEE-M', 'TEE-L', 'CAP-01', 'BAG-20', 'PEN-3', 'NOTE-A5', 'LAMP-7', 'DESK-120', 'CHAIR-2',
            'CABLE-2M'] AS skus,
        ARRAY[1250, 1990, 1990, 1490, 3490, 350, 690, 4900, 34900, 18900, 1190] AS prices
), new_customer AS (
    INSERT INTO customers (email, name, created_at)
    SELECT
        lower(first_name) || '.' || lower(last_name) || '.' || ordinal || '@' || run_id || '.example.com',
        first_name || ' ' || last_name,
        made_since + made_within * ((ordinal - 1) / run_customers)
    FROM chunk, vocabulary, generate_series(first_customer, last_customer) AS ordinal,
        -- Steps that share no divisor with the lists' lengths visit every pair of names.
        LATERAL (
            SELECT
                first_names[1 + (ordinal - 1) * 7 % cardinality(first_names)] AS first_name,
                last_names[1 + (ordinal - 1) * 5 % cardinality(last_names)] AS last_name
        ) AS named
    ORDER BY ordinal
    RETURNING id
), drawn_order AS (
    -- The squares make a few large ones among many small ones. Each order falls to one of the chunk's customers.
    SELECT
        slot,
        first_customer + floor(customers * seed_chance(slot, 618033) ^ 2)::integer AS ordinal,
        floor(items_per_order * seed_chance(slot / 4, 236067) ^ 2)::integer AS fewer_items,
        seed_chance(slot, 414213) AS chance_of_time,
        seed_chance(slot, 732051) AS chance_of_pace
    FROM chunk, generate_series(0, orders - 1) AS slot
), planned_order AS (
    SELECT
        row_number() OVER (ORDER BY made, slot) AS number, slot, ordinal, made, chance_of_pace,
        -- Of four orders one has the items that the others lack.
        items_per_order + CASE
            WHEN slot / 4 * 4 + 4 > orders THEN 0
            WHEN slot % 4 = slot / 4 % 4 THEN 3 * fewer_items
            ELSE -fewer_items
        END AS item_count
    FROM chunk, drawn_order,
        -- From 0, the beginning of what the run makes, to 1, now; not before its customer.
        LATERAL (SELECT (ordinal - 1 + (1 + last_customer - ordinal) * chance_of_time) / run_customers AS made) AS timed
), planned_item AS (
    SELECT number, product, 1 + ((slot + position) % 5)::integer AS quantity
    FROM planned_order, vocabulary, generate_series(1, item_count) AS position,
        LATERAL (SELECT 1 + (slot * 7 + position * 3) % cardinality(skus) AS product) AS chosen
), new_order AS (
    INSERT INTO orders (customer_id, status, item_count, total_cents, created_at, updated_at)
    SELECT
        customer_ids[1 + ordinal - first_customer], status, item_count, totals[number],
        made_since + made_within * made,
        made_since + made_within * (made + CASE status WHEN 'pending' THEN 0 ELSE (1 - made) * chance_of_pace / 2 END)
    FROM chunk, planned_order,
        (SELECT array_agg(id ORDER BY id) AS customer_ids FROM new_customer) AS customer,
        (
            -- An order with the right total need not be written again by the trigger.
            SELECT array_agg(total_cents ORDER BY number) AS totals
            FROM (
                SELECT number, sum(quantity * prices[product]) AS total_cents FROM planned_item, vocabulary GROUP BY number
            ) AS summed
        ) AS sums,
        -- The older, the further; some faster than others.
        LATERAL (SELECT (1 - made) * (0.5 + chance_of_pace) AS progress) AS aged,
        LATERAL (
            SELECT CASE
                WHEN slot % 17 = 3 THEN 'cancelled'
                -- Forgotten by its customer.
                WHEN slot % 199 = 7 THEN 'pending'
                WHEN progress < 0.03 THEN 'pending'
                WHEN progress < 0.09 THEN 'paid'
                WHEN progress < 0.16 THEN 'shipped'
                ELSE 'delivered'
            END AS status
        ) AS advanced
    ORDER BY number
    RETURNING id
), new_item AS (
    INSERT INTO order_items (order_id, sku, quantity, unit_price_cents)
    SELECT order_ids[number], skus[product], quantity, prices[product]
    FROM vocabulary, (SELECT array_agg(id ORDER BY id) AS order_ids FROM new_order) AS ordered, planned_item
)
SELECT row_count FROM chunk
