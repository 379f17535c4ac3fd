WITH purged_key AS (
    DELETE FROM idempotency_keys
    -- By position, so that each batch reads the index from its beginning and no more than it deletes.
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE created_at < now() - make_interval(hours => :hours::integer)
        ORDER BY created_at
        LIMIT :batch
    ))
    RETURNING 1
)
SELECT count(*) FROM purged_key
