-- What clients see. The functions are plain expressions, which PostgreSQL inlines into the statement that calls them.

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
