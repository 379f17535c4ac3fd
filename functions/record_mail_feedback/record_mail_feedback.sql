-- It may come before the report of the sender. Then there is nothing left to settle, and the relay drops the outbox's row.
WITH told_mail AS (
    UPDATE mails
    SET status = :status, error = :error, message_id = coalesce(message_id, :message_id),
        -- The sender's report would have counted it.
        attempts = attempts + (status = 'queued')::integer,
        finished_at = coalesce(finished_at, now()), leased_until = NULL
    -- Who complains has got it, so a bounce that comes later says less.
    WHERE id = :mail AND (status IN ('queued', 'sent') OR status = 'bounced' AND :status::text = 'complained')
    RETURNING customer_id
), suppressed_address AS (
    SELECT suppress_address(customer_id, decode(:address_hash, 'hex'), :reason) FROM mails WHERE id = :mail AND :reason::text IS NOT NULL
)
SELECT (SELECT count(*) FROM told_mail), (SELECT count(*) FROM suppressed_address)
