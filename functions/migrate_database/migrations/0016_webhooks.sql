-- Who wants to be told of events, and what became of each telling.
CREATE TABLE webhooks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL CONSTRAINT webhooks_url_length CHECK (length(url) <= 2000),
    -- {*} for all.
    types text[] NOT NULL CONSTRAINT webhooks_types_some CHECK (cardinality(types) > 0),
    description text NOT NULL CONSTRAINT webhooks_description_length CHECK (length(description) <= 500),
    -- Only the relay may read them. For a day after a rotation deliveries are signed with both.
    secret bytea NOT NULL,
    former_secret bytea,
    former_secret_until timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    -- Attempts that failed since the last one that succeeded, and when the first of them did.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- No foreign keys: the transaction of an order must not fail because a webhook is being deleted.
CREATE TABLE webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL,
    -- Null for a test.
    event_id bigint,
    type text NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('pending', 'succeeded', 'failed', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    -- Each redelivery that somebody asks for begins a new round. Rows of the outbox name theirs; those of a former one are void.
    round integer NOT NULL DEFAULT 0,
    round_attempts integer NOT NULL DEFAULT 0,
    round_began_at timestamptz NOT NULL DEFAULT now(),
    -- Of the last attempt.
    status_code integer,
    answer text,
    error text,
    duration_ms integer,
    attempted_at timestamptz,
    -- Until then a message about it is on its way.
    leased_until timestamptz,
    -- For its webhook to have fewer on their way. It has no row in the outbox until the relay gives it one.
    waiting boolean NOT NULL DEFAULT false,
    next_attempt_at timestamptz DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT webhook_deliveries_once UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (webhook_id, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, id) WHERE waiting;
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at);

-- All but the secrets can be read.
GRANT SELECT (xmin, id, url, types, description, disabled_at, disabled_reason, failures, failing_since, created_at),
    INSERT (url, types, description, secret),
    UPDATE (url, types, description, secret, disabled_at, disabled_reason, failures, failing_since),
    DELETE
ON webhooks TO orders_app;
GRANT SELECT, INSERT (webhook_id, event_id, type),
    UPDATE (status, round, round_attempts, round_began_at, leased_until, waiting, next_attempt_at, finished_at)
ON webhook_deliveries TO orders_app;
GRANT INSERT (queue, body) ON outbox TO orders_app;
GRANT SELECT, UPDATE (disabled_at, disabled_reason, failures, failing_since) ON webhooks TO orders_relay;
GRANT SELECT, UPDATE ON webhook_deliveries TO orders_relay;
GRANT INSERT (queue, body), DELETE ON outbox TO orders_relay;
GRANT SELECT ON events TO orders_relay;
GRANT SELECT, DELETE ON webhook_deliveries TO orders_auditor;

CREATE TYPE webhook_document AS (
    id bigint,
    url text,
    types text[],
    description text,
    enabled boolean,
    disabled_at timestamptz,
    disabled_reason text,
    failures integer,
    failing_since timestamptz,
    created_at timestamptz
);
CREATE TYPE webhook_with_secret_document AS (
    id bigint,
    url text,
    types text[],
    description text,
    enabled boolean,
    disabled_at timestamptz,
    disabled_reason text,
    failures integer,
    failing_since timestamptz,
    created_at timestamptz,
    secret text
);
CREATE TYPE webhook_delivery_document AS (
    id bigint,
    webhook_id bigint,
    event_id bigint,
    type text,
    status text,
    attempts integer,
    status_code integer,
    answer text,
    error text,
    duration_ms integer,
    created_at timestamptz,
    attempted_at timestamptz,
    next_attempt_at timestamptz,
    finished_at timestamptz
);
