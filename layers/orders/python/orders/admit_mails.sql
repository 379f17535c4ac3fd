-- Mails that wait get their row of the outbox, the oldest first, while there is room on the way to SES: it takes so many in a
-- second, and what lies in the queue for long is void. A backlog of mails costs the outbox, and its other queues, nothing.
WITH admitted AS (
    UPDATE mails SET admitted = true, leased_until = now() + make_interval(secs => :seconds::float8)
    WHERE id = ANY (ARRAY(
        SELECT id FROM mails
        WHERE NOT admitted
        ORDER BY id
        LIMIT (SELECT greatest(0, :most::integer - count(*)) FROM mails WHERE leased_until > now())
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)
INSERT INTO outbox (queue, body) SELECT 'mail', jsonb_build_object('mail', id) FROM admitted ORDER BY id
