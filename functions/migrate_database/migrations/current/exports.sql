-- What exports hold, and who may start one.

-- Whether another export may begin: no more than the limit are unfinished then.
CREATE OR REPLACE FUNCTION admit_export(most_unfinished integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Starts take turns until they commit. What is counted after the lock includes the export that began before.
    PERFORM FROM export_gate FOR UPDATE;
    RETURN most_unfinished > (SELECT count(*) FROM exports WHERE status IN ('queued', 'running'));
END
$$;

CREATE OR REPLACE FUNCTION export_json(e exports) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    e.id,
    e.kind,
    e.format,
    e.filters,
    CASE WHEN e.status = 'succeeded' AND e.expires_at <= now() THEN 'expired' ELSE e.status END,
    e.rows,
    e.bytes,
    CASE
        WHEN e.status = 'succeeded' THEN 100
        WHEN e.position IS NULL THEN 0
        ELSE least(99, 100 - 100 * e.position / greatest(e.first_position, 1))
    END,
    e.consistent,
    e.snapshot_at,
    e.created_at,
    e.finished_at,
    e.expires_at,
    e.error,
    NULL
)::export_document);

-- The name of its file in the bucket.
CREATE OR REPLACE FUNCTION export_key(e exports) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN e.id::text || '.' || e.format || '.gz';

-- The work of removing its file. A second time, when a worker that noticed nothing has certainly come to its end.
CREATE OR REPLACE FUNCTION export_removals(e exports) RETURNS TABLE (body jsonb, due_at timestamptz) STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT jsonb_build_object('remove', export_key(e), 'upload', e.upload_id), now() + delay
    FROM unnest(ARRAY[interval '0', interval '2 minutes']) AS delay;
END;

-- A time as documents spell it.
CREATE OR REPLACE FUNCTION rfc3339(moment timestamptz) RETURNS text STABLE PARALLEL SAFE RETURN to_json(moment) #>> '{}';

-- A spreadsheet takes a cell that begins like this for a formula, which can run programs. An apostrophe makes it a text.
CREATE OR REPLACE FUNCTION spreadsheet_text(value text) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value ~ '^[-=+@\t\r\n＝＋－＠]' THEN '''' || value ELSE value END;

-- position: the id by which rows are exported. Then the columns that filters compare, the document of JSON Lines, and the columns
-- of CSV. Of a view only those columns are computed that a statement asks for.
CREATE OR REPLACE VIEW exported_orders AS
SELECT
    o.id AS position,
    lower(c.email) AS address,
    order_json(
        o, c, to_json(ARRAY(SELECT order_item_json(i) FROM order_items AS i WHERE i.order_id = o.id ORDER BY i.id))
    ) AS document,
    o.id,
    o.reference,
    o.customer_id,
    spreadsheet_text(c.email) AS customer_email,
    spreadsheet_text(c.name) AS customer_name,
    o.status,
    o.item_count,
    o.total_cents,
    metadata_json(o.metadata) AS metadata,
    rfc3339(o.created_at) AS created_at,
    rfc3339(o.updated_at) AS updated_at
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id;

CREATE OR REPLACE VIEW exported_items AS
SELECT
    o.id AS position,
    lower(c.email) AS address,
    o.status,
    o.reference,
    to_json(ROW(
        i.id, i.sku, i.quantity, i.unit_price_cents, o.id, o.status, o.customer_id
    )::exported_item_document) AS document,
    i.id,
    spreadsheet_text(i.sku) AS sku,
    i.quantity,
    i.unit_price_cents,
    o.id AS order_id,
    o.status AS order_status,
    o.customer_id
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id
JOIN order_items AS i ON i.order_id = o.id;

CREATE OR REPLACE VIEW exported_customers AS
SELECT
    c.id AS position,
    lower(c.email) AS address,
    customer_json(c) AS document,
    c.id,
    spreadsheet_text(c.email) AS email,
    spreadsheet_text(c.name) AS name,
    metadata_json(c.metadata) AS metadata,
    rfc3339(c.created_at) AS created_at
FROM customers AS c;

CREATE OR REPLACE VIEW exported_summary AS
SELECT
    c.id AS position,
    customer_summary_json(
        c,
        ROW(c.id, t.order_count + pending.orders, t.item_count + pending.items, t.spent_cents + pending.spent)::customer_totals
    ) AS document,
    c.id AS customer_id,
    spreadsheet_text(c.email) AS email,
    spreadsheet_text(c.name) AS name,
    t.order_count + pending.orders AS order_count,
    t.item_count + pending.items AS item_count,
    t.spent_cents + pending.spent AS total_spent_cents
FROM customers AS c
JOIN customer_totals AS t ON t.customer_id = c.id
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(d.order_count), 0)::bigint AS orders,
        coalesce(sum(d.item_count), 0)::bigint AS items,
        coalesce(sum(d.spent_cents), 0)::bigint AS spent
    FROM customer_total_deltas AS d
    WHERE d.customer_id = c.id
) AS pending;

-- Those that the feed shows.
CREATE OR REPLACE VIEW exported_events AS
SELECT
    e.id AS position,
    event_json(e) AS document,
    e.id,
    e.type,
    rfc3339(e.at) AS at,
    spreadsheet_text(e.actor) AS actor,
    spreadsheet_text(e.request_id) AS request_id,
    e.order_id,
    e.customer_id,
    e.sequence,
    e.changes
FROM events AS e
WHERE e.transaction_id < pg_snapshot_xmin(pg_current_snapshot());

-- Whoever ends an export, nothing of its rows stays with it. A trigger, so that cancelling one takes no right to that column.
CREATE OR REPLACE FUNCTION drop_tail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.tail := NULL;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER exports_ended BEFORE UPDATE OF status ON exports
FOR EACH ROW WHEN (NEW.status NOT IN ('queued', 'running')) EXECUTE FUNCTION drop_tail();

-- What an erasure makes of exports: whatever may hold the customer ends, and its file is removed.
CREATE OR REPLACE FUNCTION forget_exports(forgotten_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Who starts an export waits until the erasure has committed. Those that were started before are all found.
    PERFORM FROM export_gate FOR UPDATE;
    WITH ended AS (
        UPDATE exports AS e
        SET status = CASE e.status WHEN 'succeeded' THEN 'succeeded' ELSE 'failed' END,
            finished_at = coalesce(e.finished_at, now()),
            expires_at = CASE e.status WHEN 'succeeded' THEN now() END,
            error = 'A customer has been erased whose data could be in it. Start another one.'
        WHERE (e.status IN ('queued', 'running') OR e.status = 'succeeded' AND e.expires_at > now())
          AND (
              e.kind <> 'items' AND coalesce((e.filters ->> 'customer_id')::bigint = forgotten_id, true)
              -- The filter below would be lost on its way.
              OR e.status <> 'succeeded' AND e.filters ->> 'email' IS NOT NULL
          )
        RETURNING e AS e
    )
    INSERT INTO outbox (queue, body, due_at) SELECT 'exporting', removal.body, removal.due_at FROM ended, export_removals(e) AS removal;

    -- It may be the address, or one that the customer had before.
    UPDATE exports
    SET filters = json_strip_nulls((filters::jsonb || '{"email": "erased"}')::json)
    WHERE filters ->> 'email' <> 'erased';
    UPDATE idempotency_keys
    SET body = (body::jsonb || jsonb_build_object('filters', body::jsonb -> 'filters' || '{"email": "erased"}'))::text
    WHERE customer_id IS NULL AND path = '/api/exports' AND body::jsonb -> 'filters' ->> 'email' <> 'erased';
END
$$;
