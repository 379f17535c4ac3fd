ALTER TABLE seed_runs
    ADD COLUMN cancelled_at timestamptz,
    -- When the queue took the message of a run that was started under an idempotency key: its replay sends nothing then.
    ADD COLUMN queued_at timestamptz,
    -- The run's rows look as if made from here to its start, so that what is newer also has the larger id.
    ADD COLUMN made_since timestamptz NOT NULL DEFAULT now() - interval '90 days',
    ADD CONSTRAINT seed_runs_ended_once CHECK (failed_at IS NULL OR cancelled_at IS NULL);

GRANT UPDATE (cancelled_at, queued_at) ON seed_runs TO orders_seeder;

CREATE OR REPLACE VIEW unfinished_seed_runs AS
SELECT id
FROM seed_runs
WHERE failed_at IS NULL
  AND cancelled_at IS NULL
  AND EXISTS (SELECT FROM seed_chunks WHERE run_id = seed_runs.id AND finished_at IS NULL);

-- One row, locked by whoever starts a run: see admit_seed_run.
CREATE TABLE seed_gate (only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT seed_gate_only_row CHECK (only_row));
INSERT INTO seed_gate DEFAULT VALUES;
