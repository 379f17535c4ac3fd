-- What is sent for these rows of the outbox. Rows of mails that are finished are deleted; so are those of mails that are not to
-- be sent after all, which are finished here.
WITH asked AS (
    SELECT id AS outbox_id, (body ->> 'mail')::bigint AS mail_id FROM outbox WHERE id = ANY (:ids::bigint[])
), wanted AS MATERIALIZED (
    SELECT asked.outbox_id, m.id, m.attempts, m.type, d.email, d.document, refusal.*
    FROM asked
    JOIN mails AS m ON m.id = asked.mail_id AND m.status = 'queued'
    LEFT JOIN order_documents AS d ON d.id = m.order_id
    LEFT JOIN mail_suppressions AS s ON s.address_hash = address_hash(d.email)
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN s.reason IS NULL THEN 'failed' ELSE 'suppressed' END AS becomes,
            CASE
                WHEN d.id IS NULL THEN 'The order is gone.'
                WHEN d.email = erased_email(m.customer_id) THEN 'The customer was erased.'
                WHEN s.reason = 'bounce' THEN 'Mail to this address has bounced.'
                WHEN s.reason = 'complaint' THEN 'The customer has complained about mail.'
                WHEN NOT EXISTS (SELECT FROM mail_switch) THEN 'Mail was switched off.'
                WHEN m.created_at < now() - make_interval(hours => :hours::integer)
                    THEN coalesce(m.error, 'It could not be sent in time.')
            END AS error
    ) AS refusal
), leased AS (
    UPDATE mails SET leased_until = now() + make_interval(secs => :seconds::float8)
    WHERE id = ANY (ARRAY(SELECT id FROM wanted WHERE error IS NULL))
), leased_row AS (
    UPDATE outbox SET due_at = now() + make_interval(secs => :lease::float8)
    WHERE id = ANY (ARRAY(SELECT outbox_id FROM wanted WHERE error IS NULL))
), refused AS (
    UPDATE mails AS m SET status = wanted.becomes, error = wanted.error, finished_at = now(), leased_until = NULL
    FROM wanted
    WHERE m.id = wanted.id AND m.status = 'queued' AND wanted.error IS NOT NULL
), dropped_row AS (
    DELETE FROM outbox
    WHERE id = ANY (ARRAY(SELECT outbox_id FROM asked EXCEPT SELECT outbox_id FROM wanted WHERE error IS NULL))
)
SELECT outbox_id, id, attempts + 1, type, encode(address_hash(email), 'hex'), document::text FROM wanted WHERE error IS NULL
