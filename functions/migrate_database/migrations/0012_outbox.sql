-- A row is the right to do one piece of work once. Whoever wants work done adds it in the transaction that makes it due; the
-- relay sends it to its queue; the worker deletes it in the statement that does the work.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Whose worker does the work: the name in its function.toml.
    queue text NOT NULL,
    -- What the worker is told, besides the row's id. Within what SQS takes, so that no row is impossible to send.
    body jsonb NOT NULL CONSTRAINT outbox_body_object CHECK (jsonb_typeof(body) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When it is to be sent: not before this, and once it has been sent, again when its lease ends here.
    due_at timestamptz NOT NULL DEFAULT now(),
    sends integer NOT NULL DEFAULT 0,
    CONSTRAINT outbox_body_limit CHECK (octet_length(body::text) <= 200000)
) WITH (
    -- Rows live for seconds, each as two versions. By the thousand they are cleared away, whatever the table's size.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    -- Giving pages back needs a lock that everybody waits for. And to a planner that sees none, reading all of the table is the
    -- cheapest way, in plans that are kept when it has filled again.
    vacuum_truncate = off
);
CREATE INDEX outbox_due ON outbox (due_at);

GRANT SELECT, UPDATE (due_at, sends) ON outbox TO orders_relay;
GRANT SELECT, INSERT (queue, body), DELETE ON outbox TO orders_seeder;

-- What the release before has not finished. Its workers may do a chunk as well: it is made once nevertheless.
INSERT INTO outbox (queue, body)
SELECT 'seeding', jsonb_build_object('run', c.run_id, 'chunk', c.number)
FROM seed_chunks AS c
JOIN seed_runs AS r ON r.id = c.run_id
WHERE c.finished_at IS NULL AND r.failed_at IS NULL AND r.cancelled_at IS NULL
ORDER BY r.created_at, c.number;

-- seed_runs.queued_at is only written by the release before.
