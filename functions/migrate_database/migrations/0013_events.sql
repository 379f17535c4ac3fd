-- The history of orders becomes the events of orders and customers. Functions of the release before go on writing and reading
-- order_events, which is a view from here on (current/events.sql). Nobody writes between the copy and that.
LOCK TABLE order_events IN ACCESS EXCLUSIVE MODE;

-- Append-only: no role but the owner may update or delete. No foreign keys: events outlive what they are about.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Null for an event of the customer itself.
    order_id bigint,
    customer_id bigint NOT NULL,
    -- The place in the feed, before id. A transaction that began earlier can commit later, so the feed shows only what is older
    -- than every transaction still running.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    -- Counts from 1 without a gap, per order, and per customer for events of the customer itself.
    sequence integer NOT NULL CONSTRAINT events_sequence_positive CHECK (sequence > 0),
    type text NOT NULL CONSTRAINT events_type_known CHECK (type IN (
        'order.created', 'order.item_added', 'order.item_updated', 'order.item_removed', 'order.updated',
        'order.paid', 'order.shipped', 'order.delivered', 'order.cancelled',
        'customer.created', 'customer.updated', 'customer.erased', 'customer.deleted'
    )),
    -- The token's subject; null where the API runs without authorization (the laptop).
    actor text CONSTRAINT events_actor_length CHECK (length(actor) <= 255),
    request_id text NOT NULL CONSTRAINT events_request_id_length CHECK (length(request_id) <= 255),
    changes json NOT NULL,
    CONSTRAINT events_subject CHECK ((order_id IS NULL) = starts_with(type, 'customer.'))
);

INSERT INTO events (id, order_id, customer_id, at, sequence, type, actor, request_id, changes) OVERRIDING SYSTEM VALUE
SELECT
    e.id, e.order_id, o.customer_id, e.at, row_number() OVER (PARTITION BY e.order_id ORDER BY e.id), 'order.' || e.type,
    e.actor, e.request_id, e.changes
FROM order_events AS e
JOIN orders AS o ON o.id = e.order_id
ORDER BY e.id;
SELECT setval(pg_get_serial_sequence('events', 'id'), max(id)) FROM events HAVING max(id) IS NOT NULL;

DROP FUNCTION IF EXISTS order_event_json(order_events);
DROP TABLE order_events;

CREATE UNIQUE INDEX events_order_sequence ON events (order_id, sequence) WHERE order_id IS NOT NULL;
CREATE UNIQUE INDEX events_customer_sequence ON events (customer_id, sequence) WHERE order_id IS NULL;
-- The feed, and its filters. The first index holds all events, but only a statement that says so can use it: asked for a type,
-- the planner prefers it to the second one, past every event of another type. One customer may have millions of events, of
-- which few have the type.
CREATE INDEX events_feed ON events (transaction_id, id) WHERE sequence > 0;
CREATE INDEX events_type ON events (type, transaction_id, id);
CREATE INDEX events_customer_type ON events (customer_id, type, transaction_id, id);

GRANT SELECT, INSERT ON events TO orders_app;

CREATE TYPE event_document AS (
    id bigint,
    type text,
    at timestamptz,
    actor text,
    request_id text,
    order_id bigint,
    customer_id bigint,
    sequence integer,
    changes json
);
-- reason: what the caller gave, and no value that changed.
CREATE TYPE order_cancelled_changes AS (status text[], reason text);
-- Null for what stayed, which is left out of the event.
CREATE TYPE customer_changes AS (email text[], name text[], metadata json[]);

-- Whose address and name the stored answer holds; null for a seed run, and in rows of the release before.
ALTER TABLE idempotency_keys ADD COLUMN customer_id bigint;
CREATE INDEX idempotency_keys_customer ON idempotency_keys (customer_id);

-- NOT VALID, as other limits: rows from before need not be read. Nobody may hold the address that an erasure will need.
ALTER TABLE customers ADD CONSTRAINT customers_email_not_reserved CHECK (
    lower(email) NOT LIKE '%@erased.invalid' OR email = 'erased-' || id || '@erased.invalid'
) NOT VALID;
