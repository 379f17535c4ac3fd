-- Mails to customers about their orders.

CREATE OR REPLACE FUNCTION mail_json(m mails) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    m.id, m.event_id, m.type, m.status, m.attempts, m.message_id, m.error, m.created_at, m.finished_at
)::mail_document);

-- What stands for an address where it is not needed itself.
CREATE OR REPLACE FUNCTION address_hash(email text) RETURNS bytea IMMUTABLE PARALLEL SAFE
RETURN sha256(convert_to(lower(email), 'UTF8'));

-- Once per statement that makes events. While mail is off it costs a look at an empty table. The relay adds rows of the outbox.
CREATE OR REPLACE FUNCTION announce_by_mail() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM mail_switch) THEN
        INSERT INTO mails (event_id, order_id, customer_id, type)
        SELECT id, order_id, customer_id, type
        FROM new_events
        WHERE type IN ('order.created', 'order.paid', 'order.shipped', 'order.delivered', 'order.cancelled')
        ORDER BY id;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER events_announced_by_mail AFTER INSERT ON events
REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION announce_by_mail();

-- From now on the address gets no mail, unless its customer was erased and it must not even be known as a hash.
CREATE OR REPLACE FUNCTION suppress_address(owner_id bigint, hash bytea, why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- An erasure waits for this, or is waited for: see forget_customer.
    PERFORM FROM customers WHERE id = owner_id FOR KEY SHARE;
    INSERT INTO mail_suppressions (address_hash, customer_id, reason)
    SELECT hash, id, why FROM customers WHERE id = owner_id AND email <> erased_email(id)
    ON CONFLICT DO NOTHING;
END
$$;
