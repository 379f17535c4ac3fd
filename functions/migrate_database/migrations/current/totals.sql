-- Totals, kept by triggers. The functions run with the owner's rights: whoever may write an item need not be allowed to write
-- totals. Where a function has arrays, it says generic plans: otherwise PostgreSQL plans for each order, which takes longer than
-- the order. And no sequential scans: a plan that was made while the tables were small is kept when they are large.

CREATE OR REPLACE FUNCTION keep_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- Locks the orders first, in id order: what is recounted after the lock includes every committed item, and writers that
-- touch the same orders cannot deadlock. NO KEY UPDATE, because each writer holds KEY SHARE through its foreign key.
-- Orders inserted by this very transaction need no lock: nobody else can see them.
CREATE OR REPLACE FUNCTION recount_orders(order_ids bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    repaired bigint;
BEGIN
    PERFORM FROM orders
    WHERE id = ANY (order_ids) AND xmin <> pg_current_xact_id()::xid
    ORDER BY id
    FOR NO KEY UPDATE;

    UPDATE orders
    SET total_cents = counted.total_cents, item_count = counted.item_count
    FROM unnest(order_ids) AS wanted (id),
        LATERAL (
            SELECT coalesce(sum(quantity * unit_price_cents), 0) AS total_cents, count(*) AS item_count
            FROM order_items
            WHERE order_id = wanted.id
        ) AS counted
    WHERE orders.id = wanted.id
      AND (orders.total_cents <> counted.total_cents OR orders.item_count <> counted.item_count);
    GET DIAGNOSTICS repaired = ROW_COUNT;
    RETURN repaired;
END
$$;

-- An order that this very transaction has inserted, with the totals that its items have, is only read.
CREATE OR REPLACE FUNCTION keep_order_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    differing bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(o.id) INTO differing
        FROM orders AS o,
            LATERAL (
                SELECT coalesce(sum(quantity * unit_price_cents), 0) AS total_cents, count(*) AS item_count
                FROM order_items
                WHERE order_id = o.id
            ) AS counted
        WHERE o.id = ANY (ARRAY(SELECT order_id FROM new_rows)) AND (
            o.xmin <> pg_current_xact_id()::xid
            OR o.total_cents <> counted.total_cents
            OR o.item_count <> counted.item_count
        );
        IF differing IS NOT NULL THEN
            PERFORM recount_orders(differing);
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM recount_orders(ARRAY(SELECT DISTINCT order_id FROM old_rows));
    ELSE
        PERFORM recount_orders(ARRAY(SELECT order_id FROM new_rows UNION SELECT order_id FROM old_rows));
        -- The document of the order changed even where its total did not, and with it its validator.
        UPDATE orders SET updated_at = now()
        WHERE id IN (SELECT order_id FROM new_rows) AND xmin <> pg_current_xact_id()::xid;
    END IF;
    RETURN NULL;
END
$$;

-- A customer's totals are these, at any moment.
CREATE OR REPLACE VIEW current_customer_totals AS
SELECT
    t.customer_id,
    t.order_count + coalesce(pending.order_count, 0) AS order_count,
    t.item_count + coalesce(pending.item_count, 0) AS item_count,
    t.spent_cents + coalesce(pending.spent_cents, 0) AS spent_cents
FROM customer_totals AS t
LEFT JOIN (
    SELECT customer_id, sum(order_count) AS order_count, sum(item_count) AS item_count, sum(spent_cents) AS spent_cents
    FROM customer_total_deltas
    GROUP BY customer_id
) AS pending USING (customer_id);

-- Adds to the totals of customers, at most one change of each. A row of totals is locked until the transaction that changed it
-- is on disk, and nobody waits for that: who finds it locked leaves the change in customer_total_deltas, and who finds it free
-- takes what others left there. Only who has the lock takes a customer's deltas, so none is added twice; what is not committed
-- yet stays for the next, as sums may be added in any order. Called by functions that run with the owner's rights.
--
-- A delta beyond customer_totals_spent_limit would be refused to whoever takes it, the audit among them. So nothing is left
-- for a customer beyond half of the limit, nor what is large by itself, and whoever brings a customer beyond half of it waits
-- until all that others are leaving has been committed, and takes that, too.
CREATE OR REPLACE FUNCTION change_customer_totals(changes customer_total_deltas[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    most_spent CONSTANT bigint := 9007199254740991;
    half CONSTANT bigint := most_spent / 2;
    -- Half a million smaller ones fit between half of the limit and all of it.
    too_large_to_leave CONSTANT bigint := most_spent / 1000000;
    free bigint[];
    leaving bigint[];
    beyond_half bigint[];
BEGIN
    free := ARRAY(
        SELECT customer_id FROM customer_totals
        WHERE customer_id IN (SELECT customer_id FROM unnest(changes))
        FOR NO KEY UPDATE SKIP LOCKED
    );

    IF cardinality(free) < cardinality(changes) THEN
        -- Who leaves nothing, and waits for the row instead, must not have this lock, for which the holder of the row may wait.
        leaving := ARRAY(
            SELECT customer_id
            FROM (
                SELECT customer_id
                FROM unnest(changes) AS change
                JOIN customer_totals AS t USING (customer_id)
                WHERE customer_id <> ALL (free)
                  AND abs(change.spent_cents) < too_large_to_leave
                  AND t.spent_cents <= half
                OFFSET 0
            ) AS small
            WHERE pg_try_advisory_xact_lock_shared(customer_id)
        );

        WITH left_behind AS (
            INSERT INTO customer_total_deltas
            SELECT change.*
            FROM unnest(changes) AS change
            JOIN customer_totals AS t USING (customer_id)
            WHERE customer_id = ANY (leaving)
              -- Read once more, under the lock.
              AND t.spent_cents <= half
            RETURNING customer_id
        )
        SELECT ARRAY(
            SELECT change FROM unnest(changes) AS change WHERE customer_id NOT IN (SELECT customer_id FROM left_behind)
        ) INTO changes;
    END IF;

    LOOP
        WITH taken AS (
            DELETE FROM customer_total_deltas WHERE customer_id = ANY (free) RETURNING *
        ), changed AS (
            INSERT INTO customer_totals AS t (customer_id, order_count, item_count, spent_cents)
            SELECT customer_id, sum(order_count), sum(item_count), sum(spent_cents)
            FROM (SELECT * FROM unnest(changes) UNION ALL SELECT * FROM taken) AS change
            GROUP BY customer_id
            -- Sorted, so that writers that do wait cannot deadlock.
            ORDER BY customer_id
            ON CONFLICT (customer_id) DO UPDATE SET
                order_count = t.order_count + excluded.order_count,
                item_count = t.item_count + excluded.item_count,
                spent_cents = t.spent_cents + excluded.spent_cents
            RETURNING customer_id, spent_cents
        )
        SELECT array_agg(customer_id) INTO beyond_half FROM changed WHERE spent_cents > half;
        EXIT WHEN beyond_half IS NULL;
        PERFORM pg_advisory_xact_lock(customer_id) FROM unnest(beyond_half) AS customer_id;
        free := beyond_half;
        changes := '{}';
    END LOOP;
END
$$;

-- Differences, so that a customer's other orders need not be read. A cancelled order counts as an order with items, and nothing
-- spent.
CREATE OR REPLACE FUNCTION keep_customer_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    changes customer_total_deltas[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Most often one order of a customer who has no deltas, and whose row nobody holds. change_customer_totals would take
        -- three statements for it.
        UPDATE customer_totals AS t SET
            order_count = t.order_count + added.order_count,
            item_count = t.item_count + added.item_count,
            spent_cents = t.spent_cents + added.spent_cents
        FROM (
            SELECT
                min(customer_id) AS customer_id, count(*) AS order_count, sum(item_count) AS item_count,
                coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0) AS spent_cents
            FROM new_rows
            HAVING min(customer_id) = max(customer_id)
        ) AS added, LATERAL (
            SELECT FROM customer_totals WHERE customer_id = added.customer_id FOR NO KEY UPDATE SKIP LOCKED
        ) AS free
        WHERE t.customer_id = added.customer_id
          -- Beyond half of the largest sum, see change_customer_totals.
          AND t.spent_cents + added.spent_cents <= 9007199254740991 / 2
          AND NOT EXISTS (SELECT FROM customer_total_deltas WHERE customer_id = added.customer_id);
        IF FOUND THEN
            RETURN NULL;
        END IF;

        changes := ARRAY(
            SELECT ROW(
                customer_id, count(*), sum(item_count), coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0)
            )::customer_total_deltas
            FROM new_rows
            GROUP BY customer_id
        );
    ELSIF TG_OP = 'DELETE' THEN
        changes := ARRAY(
            SELECT ROW(
                customer_id, -count(*), -sum(item_count), -coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0)
            )::customer_total_deltas
            FROM old_rows
            -- The customer may have gone in the same statement, and the totals with it.
            WHERE customer_id IN (SELECT id FROM customers)
            GROUP BY customer_id
        );
    ELSE
        changes := ARRAY(
            SELECT ROW(customer_id, sum(order_count), sum(item_count), sum(spent_cents))::customer_total_deltas
            FROM (
                SELECT
                    customer_id, 1 AS order_count, item_count,
                    CASE status WHEN 'cancelled' THEN 0 ELSE total_cents END AS spent_cents
                FROM new_rows
                UNION ALL
                SELECT customer_id, -1, -item_count, CASE status WHEN 'cancelled' THEN 0 ELSE -total_cents END
                FROM old_rows
            ) AS difference
            GROUP BY customer_id
            HAVING sum(order_count) <> 0 OR sum(item_count) <> 0 OR sum(spent_cents) <> 0
        );
    END IF;
    IF cardinality(changes) > 0 THEN
        PERFORM change_customer_totals(changes);
    END IF;
    RETURN NULL;
END
$$;

-- Every customer has a row, also before the first order. Whichever trigger comes first in a statement makes it.
CREATE OR REPLACE FUNCTION begin_customer_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO customer_totals (customer_id) SELECT id FROM new_rows ORDER BY id ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

-- TRUNCATE fires no row or transition-table trigger. After it everything left is recounted.
CREATE OR REPLACE FUNCTION recount_after_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'order_items' THEN
        UPDATE orders SET total_cents = 0, item_count = 0 WHERE total_cents <> 0 OR item_count <> 0;
    ELSE
        DELETE FROM customer_total_deltas;
        UPDATE customer_totals SET order_count = 0, item_count = 0, spent_cents = 0
        WHERE (order_count, item_count, spent_cents) <> (0, 0, 0);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER orders_updated_at BEFORE UPDATE ON orders
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION keep_updated_at();

CREATE OR REPLACE TRIGGER order_items_inserted AFTER INSERT ON order_items
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_order_totals();
CREATE OR REPLACE TRIGGER order_items_updated AFTER UPDATE ON order_items
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_order_totals();
CREATE OR REPLACE TRIGGER order_items_deleted AFTER DELETE ON order_items
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_order_totals();
CREATE OR REPLACE TRIGGER order_items_truncated AFTER TRUNCATE ON order_items
FOR EACH STATEMENT EXECUTE FUNCTION recount_after_truncate();

CREATE OR REPLACE TRIGGER orders_inserted AFTER INSERT ON orders
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_customer_totals();
CREATE OR REPLACE TRIGGER orders_updated AFTER UPDATE ON orders
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_customer_totals();
CREATE OR REPLACE TRIGGER orders_deleted AFTER DELETE ON orders
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_customer_totals();
CREATE OR REPLACE TRIGGER orders_truncated AFTER TRUNCATE ON orders
FOR EACH STATEMENT EXECUTE FUNCTION recount_after_truncate();

CREATE OR REPLACE TRIGGER customers_inserted AFTER INSERT ON customers
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION begin_customer_totals();
