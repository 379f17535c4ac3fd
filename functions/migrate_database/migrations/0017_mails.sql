-- Mails to customers about their orders. No copy of an address is kept: it is read when a mail is composed.

-- A row while mail is on. The function migrate_database writes it, as the deployment says.
CREATE TABLE mail_switch (
    is_on boolean PRIMARY KEY CONSTRAINT mail_switch_one_row CHECK (is_on),
    since timestamptz NOT NULL DEFAULT now()
);

-- One per event. No foreign keys: the transaction of an order must not wait for a mail's.
CREATE TABLE mails (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id bigint NOT NULL CONSTRAINT mails_once UNIQUE,
    order_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    -- The event's.
    type text NOT NULL,
    status text NOT NULL DEFAULT 'queued' CONSTRAINT mails_status_known CHECK (
        status IN ('queued', 'sent', 'bounced', 'complained', 'suppressed', 'failed')
    ),
    attempts integer NOT NULL DEFAULT 0,
    -- SES's name for it.
    message_id text,
    error text,
    -- Whether it has, or had, a row of the outbox.
    admitted boolean NOT NULL DEFAULT false,
    -- Until then a message about it is on its way.
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX mails_order ON mails (order_id, id);
CREATE INDEX mails_waiting ON mails (id) WHERE NOT admitted;
CREATE INDEX mails_leased ON mails (leased_until) WHERE leased_until IS NOT NULL;

-- Addresses that get no mail, as hashes. The customer's erasure removes them, and its deletion.
CREATE TABLE mail_suppressions (
    address_hash bytea PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
    reason text NOT NULL CONSTRAINT mail_suppressions_reason_known CHECK (reason IN ('bounce', 'complaint')),
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX mail_suppressions_customer ON mail_suppressions (customer_id);

GRANT SELECT ON mails TO orders_app;
GRANT SELECT ON mail_switch, mail_suppressions TO orders_relay;
GRANT SELECT, UPDATE (status, attempts, message_id, error, admitted, leased_until, finished_at) ON mails TO orders_relay;
GRANT INSERT (queue, body), DELETE ON outbox TO orders_relay;

CREATE TYPE mail_document AS (
    id bigint,
    event_id bigint,
    type text,
    status text,
    attempts integer,
    message_id text,
    error text,
    created_at timestamptz,
    finished_at timestamptz
);
