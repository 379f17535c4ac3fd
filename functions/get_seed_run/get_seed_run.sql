SELECT seed_run_json(
    r,
    count(*),
    count(c.finished_at),
    sum(c.row_count),
    coalesce(sum(c.row_count) FILTER (WHERE c.finished_at IS NOT NULL), 0),
    max(c.finished_at)
)::text
FROM seed_runs AS r
JOIN seed_chunks AS c ON c.run_id = r.id
WHERE r.id = :run_id
GROUP BY r.id
