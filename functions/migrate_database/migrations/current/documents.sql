-- What clients see. The functions are plain expressions, which PostgreSQL inlines into the statement that calls them.

-- jsonb is spelt with spaces; json_strip_nulls writes what it reads without them, and there are no nulls.
CREATE OR REPLACE FUNCTION metadata_json(metadata jsonb) RETURNS json IMMUTABLE PARALLEL SAFE
RETURN CASE metadata WHEN '{}' THEN '{}'::json ELSE json_strip_nulls(metadata::json) END;

CREATE OR REPLACE FUNCTION customer_json(c customers) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(c.id, c.email, c.name, metadata_json(c.metadata), c.created_at)::customer_document_2);

-- A validator of optimistic locking: every change of a row gives it a new xmin, and every restored instance a new generation.
-- Not immutable, because a plan that is kept with the result of an immutable function outlives the function: a connection
-- from before the migration would go on with the former generation. An inlined one makes PostgreSQL plan anew.
ALTER FUNCTION etag_generation STABLE;
CREATE OR REPLACE FUNCTION customer_etag(customer_xmin xid) RETURNS text STABLE PARALLEL SAFE
RETURN '"' || etag_generation() || '.' || customer_xmin::text || '"';

CREATE OR REPLACE FUNCTION order_item_json(i order_items) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(i.id, i.sku, i.quantity, i.unit_price_cents)::order_item_document);

-- The one place that says which transition is legal from which status.
CREATE OR REPLACE FUNCTION allowed_actions(status text) RETURNS text[] IMMUTABLE PARALLEL SAFE
RETURN CASE status
    WHEN 'pending' THEN ARRAY['pay', 'cancel']
    WHEN 'paid' THEN ARRAY['ship', 'cancel']
    WHEN 'shipped' THEN ARRAY['deliver']
    ELSE ARRAY[]::text[]
END;

-- items: the order's items as a json array, oldest first. The release before this one gives null for none.
CREATE OR REPLACE FUNCTION order_json(o orders, c customers, items json) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    o.id,
    o.reference,
    ROW(c.id, c.email, c.name)::order_customer,
    o.status,
    allowed_actions(o.status),
    o.total_cents,
    coalesce(items, '[]'),
    metadata_json(o.metadata),
    o.created_at,
    o.updated_at
)::order_document_2);

-- An order's document holds its customer too, so a renamed customer changes the validator as well.
CREATE OR REPLACE FUNCTION order_etag(order_xmin xid, customer_xmin xid) RETURNS text STABLE PARALLEL SAFE
RETURN '"' || etag_generation() || '.' || order_xmin::text || '.' || customer_xmin::text || '"';

CREATE OR REPLACE FUNCTION customer_summary_json(c customers, t customer_totals) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(c.id, c.email, c.name, t.order_count, t.item_count, t.spent_cents)::customer_summary_document);

CREATE OR REPLACE FUNCTION seed_run_json(
    r seed_runs, chunks_total bigint, chunks_done bigint, rows_total numeric, rows_done numeric, last_finished_at timestamptz
) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    r.id,
    CASE
        WHEN r.failed_at IS NOT NULL THEN 'failed'
        -- For good, also when the last chunks were being made at that moment.
        WHEN r.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN chunks_done = chunks_total THEN 'succeeded'
        WHEN chunks_done > 0 THEN 'running'
        ELSE 'queued'
    END,
    r.customers,
    r.orders_per_customer,
    r.items_per_order,
    rows_total,
    rows_done,
    chunks_total,
    chunks_done,
    r.created_at,
    coalesce(r.failed_at, r.cancelled_at, CASE WHEN chunks_done = chunks_total THEN last_finished_at END),
    r.error
)::seed_run_document);

CREATE OR REPLACE VIEW order_documents AS
SELECT
    o.id,
    o.customer_id,
    o.status,
    lower(c.email) AS email,
    order_etag(o.xmin, c.xmin) AS etag,
    order_json(
        o, c, to_json(ARRAY(SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = o.id ORDER BY i.id))
    ) AS document
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
