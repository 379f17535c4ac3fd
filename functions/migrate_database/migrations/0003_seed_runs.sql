CREATE TABLE seed_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    customers integer NOT NULL CONSTRAINT seed_runs_customers_positive CHECK (customers > 0),
    orders_per_customer integer NOT NULL CONSTRAINT seed_runs_orders_not_negative CHECK (orders_per_customer >= 0),
    items_per_order integer NOT NULL CONSTRAINT seed_runs_items_not_negative CHECK (items_per_order >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    failed_at timestamptz,
    -- The reason a client sees.
    error text,
    CONSTRAINT seed_runs_error_when_failed CHECK ((failed_at IS NULL) = (error IS NULL))
);

-- One row per message and transaction of the worker. Progress is counted here instead of on seed_runs, where chunks that
-- finish at the same time would wait for each other.
CREATE TABLE seed_chunks (
    run_id uuid NOT NULL CONSTRAINT seed_chunks_run_fkey REFERENCES seed_runs ON DELETE CASCADE,
    number integer NOT NULL,
    -- The customers of this chunk, as ordinals within the run, both inclusive.
    first_customer integer NOT NULL,
    last_customer integer NOT NULL,
    row_count bigint NOT NULL,
    -- Committed together with the rows themselves: this is what makes at-least-once delivery exactly-once in effect.
    finished_at timestamptz,
    PRIMARY KEY (run_id, number)
);
CREATE INDEX seed_chunks_unfinished ON seed_chunks (run_id) WHERE finished_at IS NULL;

GRANT SELECT, INSERT ON seed_runs, seed_chunks TO orders_seeder;
GRANT UPDATE (failed_at, error) ON seed_runs TO orders_seeder, orders_auditor;
GRANT UPDATE (finished_at) ON seed_chunks TO orders_seeder;
GRANT SELECT ON seed_runs, seed_chunks TO orders_auditor;

-- What a queue without durable storage has to be told again after a restart.
CREATE VIEW unfinished_seed_runs AS
SELECT id
FROM seed_runs
WHERE failed_at IS NULL
  AND EXISTS (SELECT FROM seed_chunks WHERE run_id = seed_runs.id AND finished_at IS NULL);
GRANT SELECT ON unfinished_seed_runs TO orders_auditor;
