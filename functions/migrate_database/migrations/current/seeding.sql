-- What starting a seed run and making its rows share.

-- Whether a run of so many rows may begin: no more than the limit are to be made then, by all runs together.
CREATE OR REPLACE FUNCTION admit_seed_run(new_rows bigint, most_unfinished_rows bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Starts take turns until they commit. What is counted after the lock includes the run that began before.
    PERFORM FROM seed_gate FOR UPDATE;
    RETURN most_unfinished_rows >= new_rows + (
        SELECT coalesce(sum(c.row_count), 0)
        FROM seed_chunks AS c
        JOIN seed_runs AS r ON r.id = c.run_id
        WHERE c.finished_at IS NULL AND r.failed_at IS NULL AND r.cancelled_at IS NULL
    );
END
$$;

-- Chance, from 0 to 1: the fraction of a multiple of an irrational number, which is given in millionths. Evenly spread, and the
-- same for each run.
CREATE OR REPLACE FUNCTION seed_chance(number bigint, millionths integer) RETURNS float8 IMMUTABLE PARALLEL SAFE
RETURN number * millionths % 1000000 / 1e6::float8;
