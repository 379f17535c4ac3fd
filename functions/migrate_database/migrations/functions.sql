-- The functions and triggers as they are now. Run after the numbered migrations whenever this file changed, so that each
-- stands here once, in its present form. Everything in it replaces itself, and works with the schema of one release before
-- and after: a rollback runs the former file again.

-- What clients see ---------------------------------------------------------------------------------------------------
-- These are plain expressions, which PostgreSQL inlines into the statement that calls them.

CREATE OR REPLACE FUNCTION customer_json(c customers) RETURNS json STABLE PARALLEL SAFE
RETURN json_build_object('id', c.id, 'email', c.email, 'name', c.name, 'created_at', c.created_at);

-- A validator of optimistic locking: every change of a row gives it a new xmin, and every restored instance a new generation.
-- The casts are needed: without them || is not immutable, and PostgreSQL would call the function instead of inlining it.
CREATE OR REPLACE FUNCTION customer_etag(customer_xmin xid) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN '"' || etag_generation() || '.' || customer_xmin::text || '"';

CREATE OR REPLACE FUNCTION order_item_json(i order_items) RETURNS json STABLE PARALLEL SAFE
RETURN json_build_object('id', i.id, 'sku', i.sku, 'quantity', i.quantity, 'unit_price_cents', i.unit_price_cents);

-- The one place that says which transition is legal from which status.
CREATE OR REPLACE FUNCTION allowed_actions(status text) RETURNS text[] IMMUTABLE PARALLEL SAFE
RETURN CASE status
    WHEN 'pending' THEN ARRAY['pay', 'cancel']
    WHEN 'paid' THEN ARRAY['ship', 'cancel']
    WHEN 'shipped' THEN ARRAY['deliver']
    ELSE ARRAY[]::text[]
END;

-- items: the order's items as a json array, oldest first.
CREATE OR REPLACE FUNCTION order_json(o orders, c customers, items json) RETURNS json STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', o.id,
    'customer', json_build_object('id', c.id, 'email', c.email, 'name', c.name),
    'status', o.status,
    'allowed_actions', allowed_actions(o.status),
    'total_cents', o.total_cents,
    'items', coalesce(items, '[]'),
    'created_at', o.created_at,
    'updated_at', o.updated_at
);

-- An order's document holds its customer too, so a renamed customer changes the validator as well.
CREATE OR REPLACE FUNCTION order_etag(order_xmin xid, customer_xmin xid) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN '"' || etag_generation() || '.' || order_xmin::text || '.' || customer_xmin::text || '"';

CREATE OR REPLACE FUNCTION seed_run_json(
    r seed_runs, chunks_total bigint, chunks_done bigint, rows_total numeric, rows_done numeric, last_finished_at timestamptz
) RETURNS json STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', r.id,
    'status', CASE
        WHEN r.failed_at IS NOT NULL THEN 'failed'
        -- For good, also when the last chunks were being made at that moment.
        WHEN r.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN chunks_done = chunks_total THEN 'succeeded'
        WHEN chunks_done > 0 THEN 'running'
        ELSE 'queued'
    END,
    'customers', r.customers,
    'orders_per_customer', r.orders_per_customer,
    'items_per_order', r.items_per_order,
    'rows_total', rows_total,
    'rows_done', rows_done,
    'chunks_total', chunks_total,
    'chunks_done', chunks_done,
    'created_at', r.created_at,
    'finished_at', coalesce(r.failed_at, r.cancelled_at, CASE WHEN chunks_done = chunks_total THEN last_finished_at END),
    'error', r.error
);

CREATE OR REPLACE VIEW order_documents AS
SELECT
    o.id,
    o.customer_id,
    o.status,
    lower(c.email) AS email,
    order_etag(o.xmin, c.xmin) AS etag,
    order_json(o, c, (SELECT json_agg(order_item_json(i) ORDER BY i.id) FROM order_items AS i WHERE i.order_id = o.id)) AS document
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id;

GRANT SELECT ON order_documents TO orders_app;

CREATE OR REPLACE VIEW seed_run_documents AS
SELECT id, document ->> 'status' AS status, document
FROM (
    SELECT
        r.id,
        seed_run_json(
            r,
            count(*),
            count(c.finished_at),
            sum(c.row_count),
            coalesce(sum(c.row_count) FILTER (WHERE c.finished_at IS NOT NULL), 0),
            max(c.finished_at)
        ) AS document
    FROM seed_runs AS r
    JOIN seed_chunks AS c ON c.run_id = r.id
    GROUP BY r.id
) AS run;

GRANT SELECT ON seed_run_documents TO orders_seeder;

-- Totals -------------------------------------------------------------------------------------------------------------
-- The functions below run with the owner's rights: whoever may write an item need not be allowed to write totals.

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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    repaired bigint;
BEGIN
    PERFORM FROM orders
    WHERE id = ANY (order_ids) AND xmin <> pg_current_xact_id()::xid
    ORDER BY id
    FOR NO KEY UPDATE;

    UPDATE orders
    SET total_cents = counted.total_cents, item_count = counted.item_count
    FROM (
        SELECT wanted.id,
            coalesce(sum(i.quantity * i.unit_price_cents), 0) AS total_cents,
            count(i.id) AS item_count
        FROM unnest(order_ids) AS wanted (id)
        LEFT JOIN order_items AS i ON i.order_id = wanted.id
        GROUP BY wanted.id
    ) AS counted
    WHERE orders.id = counted.id
      AND (orders.total_cents <> counted.total_cents OR orders.item_count <> counted.item_count);
    GET DIAGNOSTICS repaired = ROW_COUNT;
    RETURN repaired;
END
$$;

CREATE OR REPLACE FUNCTION keep_order_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM recount_orders(ARRAY(SELECT DISTINCT order_id FROM new_rows));
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

-- Adds differences: a customer's other orders need not be read, and concurrent writers each add their own. Sorted, so that
-- they cannot deadlock. A cancelled order counts as an order with items, and nothing spent.
CREATE OR REPLACE FUNCTION keep_customer_totals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO customer_totals AS t (customer_id, order_count, item_count, spent_cents)
        SELECT customer_id, count(*), sum(item_count), coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0)
        FROM new_rows
        GROUP BY customer_id
        ORDER BY customer_id
        ON CONFLICT (customer_id) DO UPDATE SET
            order_count = t.order_count + excluded.order_count,
            item_count = t.item_count + excluded.item_count,
            spent_cents = t.spent_cents + excluded.spent_cents;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM FROM customer_totals
        WHERE customer_id IN (SELECT customer_id FROM old_rows) ORDER BY customer_id FOR UPDATE;
        -- No row where the customer went in the same statement.
        UPDATE customer_totals AS t
        SET order_count = t.order_count - gone.order_count,
            item_count = t.item_count - gone.item_count,
            spent_cents = t.spent_cents - gone.spent_cents
        FROM (
            SELECT customer_id, count(*) AS order_count, sum(item_count) AS item_count,
                coalesce(sum(total_cents) FILTER (WHERE status <> 'cancelled'), 0) AS spent_cents
            FROM old_rows
            GROUP BY customer_id
        ) AS gone
        WHERE t.customer_id = gone.customer_id;
    ELSE
        INSERT INTO customer_totals AS t (customer_id, order_count, item_count, spent_cents)
        SELECT customer_id, sum(order_count), sum(item_count), sum(spent_cents)
        FROM (
            SELECT customer_id, 1 AS order_count, item_count, CASE status WHEN 'cancelled' THEN 0 ELSE total_cents END AS spent_cents
            FROM new_rows
            UNION ALL
            SELECT customer_id, -1, -item_count, CASE status WHEN 'cancelled' THEN 0 ELSE -total_cents END
            FROM old_rows
        ) AS difference
        GROUP BY customer_id
        HAVING sum(order_count) <> 0 OR sum(item_count) <> 0 OR sum(spent_cents) <> 0
        ORDER BY customer_id
        ON CONFLICT (customer_id) DO UPDATE SET
            order_count = t.order_count + excluded.order_count,
            item_count = t.item_count + excluded.item_count,
            spent_cents = t.spent_cents + excluded.spent_cents;
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
        UPDATE customer_totals SET order_count = 0, item_count = 0, spent_cents = 0 WHERE order_count <> 0;
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

-- Seeding ------------------------------------------------------------------------------------------------------------

-- Whether a run of so many rows may begin: no more than the limit are to be made then, by all runs together.
CREATE OR REPLACE FUNCTION admit_seed_run(new_rows bigint, most_unfinished_rows bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Starts take turns until they commit. What is counted after the lock includes the run that began before.
    PERFORM FROM seed_gate FOR UPDATE;
    RETURN most_unfinished_rows >= new_rows + (
        SELECT coalesce(sum(c.row_count), 0)
        FROM seed_chunks AS c
        JOIN seed_runs AS r ON r.id = c.run_id
        WHERE c.finished_at IS NULL AND r.failed_at IS NULL AND r.cancelled_at IS NULL
    );
END
$$;

REVOKE EXECUTE ON FUNCTION admit_seed_run FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admit_seed_run TO orders_seeder;

-- The audit ----------------------------------------------------------------------------------------------------------
-- The repairs return how many rows were wrong. What looks wrong is locked and counted again before it is changed, so that
-- writers in flight are neither missed nor counted twice.

CREATE OR REPLACE VIEW counted_customer_totals AS
SELECT
    c.id AS customer_id,
    count(o.id) AS order_count,
    coalesce(sum(o.item_count), 0) AS item_count,
    coalesce(sum(o.total_cents) FILTER (WHERE o.status <> 'cancelled'), 0) AS spent_cents
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id
GROUP BY c.id;

CREATE OR REPLACE FUNCTION repair_order_totals(first_id bigint, last_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN recount_orders(ARRAY(
        SELECT o.id
        FROM orders AS o
        LEFT JOIN order_items AS i ON i.order_id = o.id
        WHERE o.id BETWEEN first_id AND last_id
        GROUP BY o.id
        HAVING o.total_cents <> coalesce(sum(i.quantity * i.unit_price_cents), 0) OR o.item_count <> count(i.id)
    ));
END
$$;

CREATE OR REPLACE FUNCTION repair_customer_totals(first_id bigint, last_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    suspects bigint[];
    repaired bigint;
BEGIN
    INSERT INTO customer_totals (customer_id)
    SELECT id FROM customers
    WHERE id BETWEEN first_id AND last_id AND NOT EXISTS (SELECT FROM customer_totals WHERE customer_id = id)
    ON CONFLICT DO NOTHING;

    SELECT array_agg(t.customer_id) INTO suspects
    FROM customer_totals AS t
    JOIN counted_customer_totals AS counted USING (customer_id)
    -- Of the view's column: the same bounds on t would not keep the view from counting the orders of all customers.
    WHERE counted.customer_id BETWEEN first_id AND last_id
      AND (t.order_count, t.item_count, t.spent_cents) <> (counted.order_count, counted.item_count, counted.spent_cents);

    PERFORM FROM customer_totals WHERE customer_id = ANY (suspects) ORDER BY customer_id FOR UPDATE;

    UPDATE customer_totals AS t
    SET order_count = counted.order_count, item_count = counted.item_count, spent_cents = counted.spent_cents
    FROM counted_customer_totals AS counted
    WHERE counted.customer_id = ANY (suspects)
      AND counted.customer_id = t.customer_id
      AND (t.order_count, t.item_count, t.spent_cents) <> (counted.order_count, counted.item_count, counted.spent_cents);
    GET DIAGNOSTICS repaired = ROW_COUNT;
    RETURN repaired;
END
$$;

-- The last customer of the next range, whose orders number less than `batch`: a range of ids alone would be as large as its
-- customers are busy. One customer with more orders than that is a range of its own. NULL when there are no more customers.
CREATE OR REPLACE FUNCTION last_customer_to_audit(after_id bigint, batch integer) RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT greatest(first_id, least(last_id, cut_id - 1))
    FROM (
        SELECT min(id) AS first_id, max(id) AS last_id
        FROM (SELECT id FROM customers WHERE id > after_id ORDER BY id LIMIT batch) AS following
    ) AS by_customers,
    (
        -- Whose orders would be cut; nobody where fewer are left.
        SELECT max(customer_id) FILTER (WHERE position = batch) AS cut_id
        FROM (
            SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS position
            FROM (SELECT customer_id FROM orders WHERE customer_id > after_id ORDER BY customer_id LIMIT batch) AS following
        ) AS numbered
    ) AS by_orders
$$;

-- One step of a pass: the next `batch` orders; when they are through, customers with about that many orders. The place is
-- stored together with what was repaired, so whichever run comes next goes on from there. finished: it was the last step.
CREATE OR REPLACE FUNCTION audit_step(batch integer, OUT audited text, OUT repaired bigint, OUT finished boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    progress audit_progress;
    step_end bigint;
    step_size bigint;
BEGIN
    -- Two runs at once take turns.
    SELECT * INTO progress FROM audit_progress FOR UPDATE;
    audited := progress.part;
    finished := false;
    IF progress.part = 'orders' THEN
        SELECT max(id), count(*) INTO step_end, step_size
        FROM (SELECT id FROM orders WHERE id > progress.last_id ORDER BY id LIMIT batch) AS following;
        repaired := repair_order_totals(progress.last_id + 1, step_end);
        UPDATE audit_progress SET
            -- Who came last is audited as well; who writes faster than this counts is not waited for.
            part = CASE WHEN step_size < batch THEN 'customers' ELSE 'orders' END,
            last_id = CASE WHEN step_size < batch THEN 0 ELSE step_end END,
            pass_began_at = CASE progress.last_id WHEN 0 THEN now() ELSE progress.pass_began_at END;
        RETURN;
    END IF;
    step_end := last_customer_to_audit(progress.last_id, batch);
    IF step_end IS NOT NULL THEN
        repaired := repair_customer_totals(progress.last_id + 1, step_end);
        UPDATE audit_progress SET last_id = step_end;
        RETURN;
    END IF;
    repaired := 0;
    finished := true;
    UPDATE audit_progress SET part = 'orders', last_id = 0, audited_until = progress.pass_began_at;
END
$$;

-- Who may call what -------------------------------------------------------------------------------------------------
-- PostgreSQL lets everyone execute a new function. With the owner's rights behind it, a trigger function on a table of one's own
-- writes whatever totals one likes. So nobody may but whom this says, also what older releases made; triggers need no right.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
DO $$
DECLARE
    made regprocedure;
BEGIN
    FOR made IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) = current_user
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', made);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION
    allowed_actions, customer_etag, customer_json, etag_generation, order_etag, order_item_json, order_json
TO orders_app;
GRANT EXECUTE ON FUNCTION seed_run_json TO orders_seeder;
-- The repairs for the release before, which calls them itself.
GRANT EXECUTE ON FUNCTION audit_step, repair_order_totals, repair_customer_totals TO orders_auditor;
