-- One row per export: what was asked for, how far it is, and what it takes to go on after a worker was killed.
CREATE TABLE exports (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Their order in the list.
    number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT exports_number_key UNIQUE,
    kind text NOT NULL,
    format text NOT NULL,
    -- By the names of the list's filters.
    filters json NOT NULL,
    caller text,
    status text NOT NULL DEFAULT 'queued'
        CONSTRAINT exports_status_known CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    rows bigint NOT NULL DEFAULT 0,
    -- Of the compressed file.
    bytes bigint NOT NULL DEFAULT 0,
    -- Whether all of it was read from one snapshot, which was taken at snapshot_at.
    consistent boolean NOT NULL DEFAULT true,
    snapshot_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    expires_at timestamptz,
    error text,
    -- How often a worker has taken it over. Only the last one may change anything.
    worker integer NOT NULL DEFAULT 0,
    -- Ids up to first_position are exported. position: how many of them are left.
    first_position bigint,
    position bigint,
    upload_id text,
    -- The number of the last part that any worker was given; none is used twice.
    last_part integer NOT NULL DEFAULT 0,
    -- The parts that are in the file: their numbers, and what S3 knows them by.
    parts jsonb NOT NULL DEFAULT '[]',
    -- The end of what was exported, if it was too small for a part.
    tail bytea
);
CREATE INDEX exports_unfinished ON exports (id) WHERE status IN ('queued', 'running');
-- For those whose time is over.
CREATE INDEX exports_finished ON exports (finished_at);

-- One row, locked by whoever starts an export: see admit_export.
CREATE TABLE export_gate (only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT export_gate_only_row CHECK (only_row));
INSERT INTO export_gate DEFAULT VALUES;

CREATE TYPE export_document AS (
    id uuid,
    kind text,
    format text,
    filters json,
    status text,
    rows bigint,
    bytes bigint,
    progress integer,
    consistent boolean,
    snapshot_at timestamptz,
    created_at timestamptz,
    finished_at timestamptz,
    expires_at timestamptz,
    error text,
    -- Filled in by the function that answers.
    url text
);
CREATE TYPE exported_item_document AS (
    id bigint,
    sku text,
    quantity integer,
    unit_price_cents bigint,
    order_id bigint,
    order_status text,
    customer_id bigint
);

GRANT SELECT, INSERT (kind, format, filters, caller), UPDATE (status, finished_at), DELETE ON exports TO orders_app;
GRANT INSERT (queue, body, due_at) ON outbox TO orders_app;
GRANT SELECT, UPDATE (
    status, rows, bytes, consistent, snapshot_at, finished_at, expires_at, error, worker, first_position, position, upload_id,
    last_part, parts, tail
) ON exports TO orders_exporter;
GRANT SELECT, INSERT (queue, body), DELETE ON outbox TO orders_exporter;
-- Of the tables themselves only the largest id, from which on they are exported through views.
GRANT SELECT (id) ON orders, customers, events TO orders_exporter;
-- Clears away what has had its time.
GRANT SELECT (id, status, created_at, finished_at), UPDATE (status, finished_at, error, tail), DELETE ON exports TO orders_auditor;
