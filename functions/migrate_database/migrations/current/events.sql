-- Events, and what erasing a customer does.

CREATE OR REPLACE FUNCTION event_json(e events) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    e.id, e.type, e.at, e.actor, e.request_id, e.order_id, e.customer_id, e.sequence, e.changes
)::event_document);

-- The generation of the validators as a number, for the feed's cursors: a restored instance uses transaction ids again.
CREATE OR REPLACE FUNCTION feed_generation() RETURNS bigint STABLE PARALLEL SAFE
RETURN ('x' || lpad(etag_generation(), 16, '0'))::bit(64)::bigint;

-- What an event of a customer says: of the address, the name and the metadata, those that changed, before and after.
CREATE OR REPLACE FUNCTION customer_changes_json(before customers, after customers) RETURNS json STABLE PARALLEL SAFE
RETURN json_strip_nulls(to_json(ROW(
    CASE WHEN before.email IS DISTINCT FROM after.email THEN ARRAY[before.email, after.email] END,
    CASE WHEN before.name IS DISTINCT FROM after.name THEN ARRAY[before.name, after.name] END,
    CASE WHEN coalesce(before.metadata, '{}') <> coalesce(after.metadata, '{}') THEN
        ARRAY[metadata_json(before.metadata), metadata_json(after.metadata)]
    END
)::customer_changes));

-- What stands in the place of an erased customer's address. customers_email_not_reserved keeps it free.
CREATE OR REPLACE FUNCTION erased_email(customer_id bigint) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN 'erased-' || customer_id || '@erased.invalid';

-- A value before and after, with the substitute for whichever there was; null for none.
CREATE OR REPLACE FUNCTION erased_pair(pair json, substitute text) RETURNS text[] IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN pair IS NOT NULL THEN ARRAY[
    CASE WHEN pair ->> 0 IS NOT NULL THEN substitute END, CASE WHEN pair ->> 1 IS NOT NULL THEN substitute END
] END;

-- Removes a customer's address, name and metadata from every copy, in the transaction that removes them from the customer.
-- Whatever comes to keep another copy (an export, a mail) is added here. The caller has locked the customer FOR UPDATE.
CREATE OR REPLACE FUNCTION forget_customer(forgotten_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM forget_exports(forgotten_id);

    -- Of each address that the customer had, also where another customer had it when its mail came back.
    DELETE FROM mail_suppressions
    WHERE customer_id = forgotten_id
       OR address_hash = ANY (ARRAY(
           SELECT address_hash(former.email)
           FROM events AS e, json_array_elements_text(e.changes -> 'email') AS former (email)
           WHERE e.customer_id = forgotten_id AND e.order_id IS NULL
       ));

    UPDATE events
    SET changes = json_strip_nulls((changes::jsonb || to_jsonb(ROW(
        erased_pair(changes -> 'email', erased_email(forgotten_id)), erased_pair(changes -> 'name', 'erased'), NULL
    )::customer_changes))::json)
    WHERE customer_id = forgotten_id AND order_id IS NULL AND type <> 'customer.erased';

    -- Receivers may have answered with what they got.
    UPDATE webhook_deliveries AS d
    SET answer = NULL
    FROM events AS e
    WHERE e.customer_id = forgotten_id AND d.event_id = e.id AND d.answer IS NOT NULL;

    UPDATE idempotency_keys
    SET body = CASE
        WHEN body::jsonb ? 'customer' THEN jsonb_set(body::jsonb, '{customer}', body::jsonb -> 'customer' || substitutes)
        ELSE body::jsonb || substitutes || '{"metadata": {}}'
    END
    FROM (SELECT jsonb_build_object('email', erased_email(forgotten_id), 'name', 'erased') AS substitutes) AS erased
    WHERE customer_id = forgotten_id
       -- Stored by the release before, which names no customer.
       OR customer_id IS NULL AND forgotten_id::text = CASE path
           WHEN '/api/customers' THEN body::jsonb ->> 'id'
           ELSE body::jsonb -> 'customer' ->> 'id'
       END;

END
$$;

-- The history as the functions of the release before read and write it.
CREATE OR REPLACE VIEW order_events AS
SELECT id, order_id, substr(type, length('order.') + 1) AS type, actor, request_id, at, changes
FROM events
WHERE order_id IS NOT NULL;

CREATE OR REPLACE FUNCTION order_event_json(e order_events) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(e.id, e.type, e.actor, e.request_id, e.at, e.changes)::order_event_document);

CREATE OR REPLACE FUNCTION keep_event_of_former_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The order's change came first in the statement, so whoever else changes the order waits.
    INSERT INTO events (order_id, customer_id, sequence, type, actor, request_id, changes)
    SELECT
        o.id, o.customer_id, 1 + coalesce((SELECT max(sequence) FROM events WHERE order_id = o.id), 0),
        'order.' || NEW.type, NEW.actor, NEW.request_id, NEW.changes
    FROM orders AS o
    WHERE o.id = NEW.order_id;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER order_events_inserted INSTEAD OF INSERT ON order_events
FOR EACH ROW EXECUTE FUNCTION keep_event_of_former_release();
