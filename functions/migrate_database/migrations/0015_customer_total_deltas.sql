-- What is still to be added to a customer's totals: by writers that found the row of customer_totals locked by another one. The
-- customer's next writer adds it and deletes it here, so that only customers with several writers at this moment have rows.
CREATE TABLE customer_total_deltas (
    customer_id bigint NOT NULL CONSTRAINT customer_total_deltas_customer_fkey REFERENCES customers ON DELETE CASCADE,
    order_count bigint NOT NULL,
    item_count bigint NOT NULL,
    spent_cents bigint NOT NULL
) WITH (
    -- Many rows come and go, and few are there: by the shares that suit other tables it would hardly ever be vacuumed. Cutting
    -- off empty pages at its end would make writers wait.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, vacuum_truncate = false
);
CREATE INDEX customer_total_deltas_customer ON customer_total_deltas (customer_id);

GRANT SELECT ON customer_total_deltas TO orders_app, orders_auditor;
