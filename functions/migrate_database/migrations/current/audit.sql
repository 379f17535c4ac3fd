-- The audit of the totals. The repairs return how many rows were wrong. What looks wrong is locked and counted again before it
-- is changed, so that writers in flight are neither missed nor counted twice.

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
    FROM current_customer_totals AS t
    JOIN counted_customer_totals AS counted USING (customer_id)
    -- Of this view's column: the same bounds on t would not keep it from counting the orders of all customers.
    WHERE counted.customer_id BETWEEN first_id AND last_id
      AND (t.order_count, t.item_count, t.spent_cents) <> (counted.order_count, counted.item_count, counted.spent_cents);

    PERFORM FROM customer_totals WHERE customer_id = ANY (suspects) ORDER BY customer_id FOR UPDATE;

    UPDATE customer_totals AS t
    SET order_count = t.order_count + counted.order_count - shown.order_count,
        item_count = t.item_count + counted.item_count - shown.item_count,
        spent_cents = t.spent_cents + counted.spent_cents - shown.spent_cents
    FROM counted_customer_totals AS counted
    JOIN current_customer_totals AS shown USING (customer_id)
    WHERE counted.customer_id = ANY (suspects)
      AND counted.customer_id = t.customer_id
      AND (shown.order_count, shown.item_count, shown.spent_cents)
          <> (counted.order_count, counted.item_count, counted.spent_cents);
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

-- Adds the deltas that wait for a next writer of their customer. Whoever is writing at this moment does so without this.
CREATE OR REPLACE FUNCTION settle_customer_totals() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT change_customer_totals(ARRAY(
        SELECT ROW(customer_id, 0, 0, 0)::customer_total_deltas
        FROM customer_totals
        WHERE customer_id IN (SELECT customer_id FROM customer_total_deltas)
        FOR NO KEY UPDATE SKIP LOCKED
    ))
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
    PERFORM settle_customer_totals();
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
