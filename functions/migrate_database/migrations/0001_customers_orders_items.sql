CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL CONSTRAINT customers_email_length CHECK (length(email) BETWEEN 3 AND 254),
    name text NOT NULL CONSTRAINT customers_name_length CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX customers_email_key ON customers (lower(email));
-- Containment (LIKE '%needle%') for needles of three characters and more. Every search reads the list of pending entries in
-- full: at its default of 4 MB the planner turns away from the index after a seed run. A short list costs seeding 4 %, none 45 %.
CREATE INDEX customers_email_trigrams ON customers USING gin (lower(email) gin_trgm_ops) WITH (gin_pending_list_limit = 64);

-- No ON DELETE CASCADE between the tables that clients know: nothing is ever deleted on the side.
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL CONSTRAINT orders_customer_fkey REFERENCES customers ON DELETE RESTRICT,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT orders_status_known CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled')),
    -- Both are kept by the triggers on order_items, whoever writes.
    total_cents bigint NOT NULL DEFAULT 0 CONSTRAINT orders_total_not_negative CHECK (total_cents >= 0),
    item_count integer NOT NULL DEFAULT 0 CONSTRAINT orders_item_count_not_negative CHECK (item_count >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Newest first within a customer and within a status; without a filter the primary key serves.
CREATE INDEX orders_customer ON orders (customer_id, id);
CREATE INDEX orders_status ON orders (status, id);

CREATE TABLE order_items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL CONSTRAINT order_items_order_fkey REFERENCES orders ON DELETE RESTRICT,
    sku text NOT NULL CONSTRAINT order_items_sku_length CHECK (length(sku) BETWEEN 1 AND 64),
    quantity integer NOT NULL CONSTRAINT order_items_quantity_range CHECK (quantity BETWEEN 1 AND 1000000),
    unit_price_cents bigint NOT NULL
        CONSTRAINT order_items_unit_price_range CHECK (unit_price_cents BETWEEN 0 AND 1000000000)
);
CREATE INDEX order_items_order ON order_items (order_id, id);

-- A table of its own: updating customers on every order would rewrite the trigram index each time.
CREATE TABLE customer_totals (
    -- A derived row: it goes with the customer, who can only go without orders.
    customer_id bigint PRIMARY KEY CONSTRAINT customer_totals_customer_fkey REFERENCES customers ON DELETE CASCADE,
    order_count bigint NOT NULL DEFAULT 0,
    item_count bigint NOT NULL DEFAULT 0,
    spent_cents bigint NOT NULL DEFAULT 0
);
-- The summary's order: biggest spender first, ties by id.
CREATE INDEX customer_totals_spent ON customer_totals ((-spent_cents), customer_id);

-- Append-only: no role but the owner may update or delete.
CREATE TABLE order_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL CONSTRAINT order_events_order_fkey REFERENCES orders ON DELETE RESTRICT,
    type text NOT NULL CONSTRAINT order_events_type_length CHECK (length(type) BETWEEN 1 AND 64),
    -- The token's subject; null where the API runs without authorization (the laptop).
    actor text CONSTRAINT order_events_actor_length CHECK (length(actor) <= 255),
    request_id text NOT NULL CONSTRAINT order_events_request_id_length CHECK (length(request_id) <= 255),
    at timestamptz NOT NULL DEFAULT now(),
    changes json NOT NULL
);
CREATE INDEX order_events_order ON order_events (order_id, id);

GRANT SELECT, INSERT, DELETE, UPDATE (email, name) ON customers TO orders_app;
GRANT SELECT, INSERT, UPDATE (status, total_cents, item_count, updated_at) ON orders TO orders_app;
GRANT SELECT, INSERT, DELETE, UPDATE (quantity, unit_price_cents) ON order_items TO orders_app;
GRANT SELECT, INSERT ON order_events TO orders_app;
GRANT SELECT ON customer_totals TO orders_app;

GRANT SELECT, INSERT ON customers, orders, order_items TO orders_seeder;

GRANT SELECT ON customers, orders, order_items, customer_totals TO orders_auditor;
