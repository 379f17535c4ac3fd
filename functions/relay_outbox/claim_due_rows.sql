-- Takes rows that are due: nobody else sends them until their lease ends. The lease is first what the queue's worker may need,
-- and four times as long after each time: a row whose message was lost is sent again soon, but a backlog of a day adds six copies
-- to each message and not hundreds.
WITH due AS MATERIALIZED (
    SELECT id, due_at FROM outbox WHERE due_at <= now() ORDER BY due_at LIMIT :batch FOR UPDATE SKIP LOCKED
)
UPDATE outbox AS o
SET sends = sends + 1,
    due_at = now() + least(
        make_interval(secs => coalesce((:leases::jsonb ->> queue)::float8, 60) * 4 ^ least(sends, 9)), interval '6 hours'
    )
-- An array and no join: what is known of the table's size is from when it was empty, and each due row would be a scan of it.
WHERE id = ANY (ARRAY(SELECT id FROM due))
RETURNING queue, id, (body || jsonb_build_object('outbox', id))::text,
    (SELECT extract(epoch FROM now() - min(due_at)) FROM due)::float8
