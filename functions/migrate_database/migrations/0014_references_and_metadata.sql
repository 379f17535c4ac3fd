-- Both defaults are constants, which PostgreSQL keeps beside the table: no row is written. The constraints are NOT VALID, as the
-- other limits: every change is checked, and the rows from before need not be read while the table is locked.
-- IF NOT EXISTS for tables too large to lock, as the index below: see CONTRIBUTING.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS reference text,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT orders_reference_length CHECK (length(reference) BETWEEN 1 AND 64) NOT VALID,
    -- {} first: nearly every order passes without its keys being counted.
    ADD CONSTRAINT orders_metadata_limit CHECK (
        metadata = '{}'
        OR jsonb_typeof(metadata) = 'object' AND jsonb_array_length(jsonb_path_query_array(metadata, '$.keyvalue()')) <= 20
    ) NOT VALID;
ALTER TABLE customers
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT customers_metadata_limit CHECK (
        metadata = '{}'
        OR jsonb_typeof(metadata) = 'object' AND jsonb_array_length(jsonb_path_query_array(metadata, '$.keyvalue()')) <= 20
    ) NOT VALID;

-- Partial: an order without a reference costs it nothing, and building it sorts nothing.
CREATE UNIQUE INDEX IF NOT EXISTS orders_reference_key ON orders (reference) WHERE reference IS NOT NULL;

GRANT UPDATE (metadata) ON orders, customers TO orders_app;

CREATE TYPE customer_document_2 AS (id bigint, email text, name text, metadata json, created_at timestamptz);
CREATE TYPE order_document_2 AS (
    id bigint,
    reference text,
    customer order_customer,
    status text,
    allowed_actions text[],
    total_cents bigint,
    -- An array of order_item_document. As one of PostgreSQL's it would cost a page of orders a seventh more.
    items json,
    metadata json,
    created_at timestamptz,
    updated_at timestamptz
);
CREATE TYPE order_updated_changes AS (metadata json[]);
