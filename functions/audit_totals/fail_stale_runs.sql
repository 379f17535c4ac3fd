WITH failed_run AS (
    UPDATE seed_runs SET failed_at = now(), error = 'The worker never finished it.'
    WHERE id IN (SELECT id FROM unfinished_seed_runs) AND created_at < now() - make_interval(hours => :hours::integer)
      -- Looked at again when somebody else is ending the run at this moment.
      AND failed_at IS NULL AND cancelled_at IS NULL
    RETURNING 1
)
SELECT count(*) FROM failed_run
