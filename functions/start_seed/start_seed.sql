WITH admission AS (
    SELECT admit_seed_run(:customers * :rows_per_customer::bigint, :most_unfinished_rows) AS granted
), new_run AS (
    INSERT INTO seed_runs AS r (customers, orders_per_customer, items_per_order, made_since)
    SELECT
        :customers::integer, :orders_per_customer, :items_per_order,
        -- Lists are newest first by id, so nothing is made to look older than what is there already.
        least(now(), greatest(
            now() - interval '90 days',
            (SELECT created_at FROM customers ORDER BY id DESC LIMIT 1),
            (SELECT created_at FROM orders ORDER BY id DESC LIMIT 1)
        ))
    FROM admission
    WHERE granted
    RETURNING r AS r
), new_chunk AS (
    INSERT INTO seed_chunks AS c (run_id, number, first_customer, last_customer, row_count)
    SELECT
        (new_run.r).id,
        1 + (first_customer - 1) / :customers_per_chunk::integer,
        first_customer,
        last_customer,
        (1 + last_customer - first_customer) * :rows_per_customer::bigint
    FROM new_run,
        generate_series(1, (new_run.r).customers, :customers_per_chunk::integer) AS first_customer,
        LATERAL (SELECT least(first_customer + :customers_per_chunk::integer - 1, (new_run.r).customers) AS last_customer) AS bounds
    RETURNING c.run_id, c.number, c.row_count
), message AS (
    INSERT INTO outbox (queue, body)
    SELECT 'seeding', jsonb_build_object('run', run_id, 'chunk', number) FROM new_chunk ORDER BY number
), answer AS (
    SELECT
        '/api/dev/seed/' || (r).id || '/' AS location,
        NULL AS etag,
        seed_run_json(r, all_chunks.chunks, 0, all_chunks.rows, 0, NULL)::text AS body
    FROM new_run, (SELECT count(*) AS chunks, sum(row_count) AS rows FROM new_chunk) AS all_chunks
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
