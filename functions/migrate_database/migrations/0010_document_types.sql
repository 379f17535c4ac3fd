-- The shapes of the documents, by name. to_json spells a row of such a type without spaces, and faster than
-- json_build_object. A type never changes: a release that is rolled back to makes rows of the types that it knows. Another
-- shape is another type (order_document_2) in a migration of its own, and the former one is dropped a release later.
CREATE TYPE customer_document AS (id bigint, email text, name text, created_at timestamptz);

CREATE TYPE order_customer AS (id bigint, email text, name text);
CREATE TYPE order_item_document AS (id bigint, sku text, quantity integer, unit_price_cents bigint);
CREATE TYPE order_document AS (
    id bigint,
    customer order_customer,
    status text,
    allowed_actions text[],
    total_cents bigint,
    -- An array of order_item_document. As one of PostgreSQL's it would cost a page of orders a seventh more.
    items json,
    created_at timestamptz,
    updated_at timestamptz
);

CREATE TYPE order_event_document AS (id bigint, type text, actor text, request_id text, at timestamptz, changes json);
-- What changes holds: of everything that changed the value before and the value after.
CREATE TYPE order_created_changes AS (status text[], total_cents bigint[]);
CREATE TYPE order_status_changes AS (status text[]);
-- item: two of order_item_document, or one and null.
CREATE TYPE order_item_changes AS (item json[], total_cents bigint[]);

CREATE TYPE customer_summary_document AS (
    customer_id bigint,
    email text,
    name text,
    order_count bigint,
    item_count bigint,
    total_spent_cents bigint
);

CREATE TYPE seed_run_document AS (
    id uuid,
    status text,
    customers integer,
    orders_per_customer integer,
    items_per_order integer,
    rows_total bigint,
    rows_done bigint,
    chunks_total bigint,
    chunks_done bigint,
    created_at timestamptz,
    finished_at timestamptz,
    error text
);
