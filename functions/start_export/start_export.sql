WITH admission AS (
    SELECT admit_export(:most_unfinished::integer) AS granted
), new_export AS (
    INSERT INTO exports AS e (kind, format, filters, caller)
    SELECT :kind, :format, :filters::json, nullif(:caller, '') FROM admission WHERE granted
    RETURNING e AS e
), message AS (
    INSERT INTO outbox (queue, body)
    SELECT 'exporting', jsonb_build_object('export', (e).id) FROM new_export
), answer AS (
    SELECT '/api/exports/' || (e).id || '/' AS location, NULL AS etag, export_json(e)::text AS body FROM new_export
), stored_answer AS (
    INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)
    SELECT :caller, :path, :key, :request_hash, location, etag, body FROM answer WHERE :key::text IS NOT NULL
)
SELECT location, etag, body FROM answer
