WITH purged_export AS (
    DELETE FROM exports WHERE finished_at < now() - make_interval(days => :days::integer) RETURNING 1
)
SELECT count(*) FROM purged_export
