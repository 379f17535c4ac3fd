-- Webhooks and their deliveries. The functions take columns and no row, since the API may not read a webhook's secrets.

CREATE OR REPLACE FUNCTION webhook_json(
    id bigint, url text, types text[], description text, disabled_at timestamptz, disabled_reason text, failures integer,
    failing_since timestamptz, created_at timestamptz
) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    id, url, types, description, disabled_at IS NULL, disabled_at, disabled_reason, failures, failing_since, created_at
)::webhook_document);

CREATE OR REPLACE FUNCTION webhook_with_secret_json(webhook json, secret text) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(jsonb_populate_record(NULL::webhook_with_secret_document, webhook::jsonb || jsonb_build_object('secret', secret)));

CREATE OR REPLACE VIEW webhook_documents AS
SELECT
    id,
    customer_etag(xmin) AS etag,
    disabled_at IS NULL AS enabled,
    webhook_json(
        id, url, types, description, disabled_at, disabled_reason, failures, failing_since, created_at
    ) AS document
FROM webhooks;

CREATE OR REPLACE FUNCTION webhook_delivery_json(d webhook_deliveries) RETURNS json STABLE PARALLEL SAFE
RETURN to_json(ROW(
    d.id, d.webhook_id, d.event_id, d.type, d.status, d.attempts, d.status_code, d.answer, d.error, d.duration_ms, d.created_at,
    d.attempted_at, d.next_attempt_at, d.finished_at
)::webhook_delivery_document);

-- Whether there may be another webhook.
CREATE OR REPLACE FUNCTION admit_webhook(most integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- Creations take turns until they commit. What is counted after the lock includes the webhook that was created before.
    PERFORM pg_advisory_xact_lock('webhooks'::regclass::integer, 0);
    RETURN most > (SELECT count(*) FROM webhooks);
END
$$;

-- What is sent. Null if there is nothing any more that could be.
CREATE OR REPLACE FUNCTION webhook_body(d webhook_deliveries) RETURNS json STABLE PARALLEL SAFE
RETURN CASE
    WHEN d.event_id IS NULL THEN json_build_object('type', d.type, 'webhook_id', d.webhook_id, 'at', d.created_at)
    ELSE (SELECT event_json(e) FROM events AS e WHERE e.id = d.event_id)
END;

-- How many more of a webhook's messages may be on their way; below 0 where there are more than may be. As many as its receiver
-- answers in three seconds, so that nobody waits for long behind another's: known from its last attempts, and at least 50. Of a
-- slow one only what holds the workers for 50 seconds in all, and while it fails 5.
CREATE OR REPLACE FUNCTION webhook_room(webhook bigint, failing_since timestamptz) RETURNS integer STABLE PARALLEL SAFE
RETURN (
    WITH last_attempts AS (
        SELECT attempted_at, duration_ms FROM webhook_deliveries
        WHERE webhook_id = webhook AND attempted_at IS NOT NULL
        ORDER BY attempted_at DESC
        LIMIT 50
    ), receiver AS (
        SELECT
            count(*) / greatest(extract(epoch FROM now() - min(attempted_at)), 0.1) AS answers_per_second,
            greatest(avg(duration_ms) / 1000, 0.001) AS seconds_each
        FROM last_attempts
    ), allowed AS (
        SELECT CASE
            WHEN failing_since IS NOT NULL THEN 5
            ELSE least(greatest(50, least(500, 3 * answers_per_second)), greatest(5, 50 / seconds_each))::integer
        END AS messages
        FROM receiver
    ), on_their_way AS (
        SELECT count(*)::integer AS messages FROM webhook_deliveries WHERE webhook_id = webhook AND leased_until > now()
    )
    SELECT allowed.messages - on_their_way.messages FROM allowed, on_their_way
);

-- What is kept of a receiver's answer, who may answer with what it got: nothing of a customer who was erased meanwhile.
CREATE OR REPLACE FUNCTION kept_answer(about bigint, answer text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF answer <> '' THEN
        -- An erasure waits for this, or is waited for: see forget_customer.
        PERFORM FROM events AS e JOIN customers AS c ON c.id = e.customer_id WHERE e.id = about FOR KEY SHARE OF c;
        -- Of a customer that was deleted before, this event is among what is rewritten, and that before the answers.
        PERFORM FROM events AS e
        JOIN events AS deletion ON deletion.customer_id = e.customer_id AND deletion.type = 'customer.deleted'
        WHERE e.id = about
        FOR SHARE OF deletion;
    END IF;
    RETURN CASE WHEN NOT EXISTS (
        SELECT FROM events AS e
        JOIN events AS erasure ON erasure.customer_id = e.customer_id AND erasure.type = 'customer.erased'
        WHERE e.id = about
    ) THEN answer END;
END
$$;

-- Whether a webhook still gets deliveries. While it is disabled they are cancelled at once, for a replay when it is enabled
-- again; one that nobody has enabled for long costs no more than none.
CREATE OR REPLACE FUNCTION is_announced_to(disabled_at timestamptz) RETURNS boolean STABLE PARALLEL SAFE
RETURN disabled_at IS NULL OR disabled_at > now() - interval '30 days';

-- Once per statement that makes events. Where nobody wants them it costs a look at a small table.
CREATE OR REPLACE FUNCTION announce_to_webhooks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM webhooks WHERE is_announced_to(disabled_at)) THEN
        WITH new_delivery AS (
            INSERT INTO webhook_deliveries AS d (webhook_id, event_id, type, waiting, status, next_attempt_at, finished_at)
            SELECT
                w.id, e.id, e.type, is_on AND w.failing_since IS NOT NULL, CASE WHEN is_on THEN 'pending' ELSE 'cancelled' END,
                CASE WHEN is_on THEN now() END, CASE WHEN NOT is_on THEN now() END
            FROM new_events AS e
            JOIN webhooks AS w ON is_announced_to(w.disabled_at) AND w.types && ARRAY['*', e.type]
            CROSS JOIN LATERAL (SELECT w.disabled_at IS NULL AS is_on) AS now_is
            ORDER BY e.id, w.id
            RETURNING d.id, d.round, d.waiting, d.status
        )
        INSERT INTO outbox (queue, body)
        SELECT 'webhooks', jsonb_build_object('delivery', id, 'round', round)
        FROM new_delivery
        WHERE status = 'pending' AND NOT waiting;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER events_announced_to_webhooks AFTER INSERT ON events
REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION announce_to_webhooks();

-- A trigger, so that whoever rotates a secret need not be able to read one.
CREATE OR REPLACE FUNCTION keep_former_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.former_secret := OLD.secret;
    NEW.former_secret_until := now() + interval '24 hours';
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER webhooks_secret_updated BEFORE UPDATE OF secret ON webhooks
FOR EACH ROW EXECUTE FUNCTION keep_former_secret();
