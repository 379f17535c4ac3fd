WITH purged_delivery AS (
    DELETE FROM webhook_deliveries
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM webhook_deliveries
        WHERE created_at < now() - make_interval(days => :days::integer)
        ORDER BY created_at
        LIMIT :batch
    ))
    RETURNING 1
)
SELECT count(*) FROM purged_delivery
