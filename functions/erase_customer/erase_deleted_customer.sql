-- Events outlive their customer. Nothing is found for a customer that there never was.
WITH last_event AS (
    SELECT max(sequence) AS sequence, bool_or(type = 'customer.erased') AS erased
    FROM events
    WHERE customer_id = :customer_id AND order_id IS NULL
    HAVING bool_or(type = 'customer.deleted')
), event AS (
    INSERT INTO events (customer_id, sequence, type, actor, request_id, changes)
    SELECT :customer_id, 1 + sequence, 'customer.erased', :actor, :request_id, '{}'
    FROM last_event
    WHERE NOT erased
    -- Of several at once, one is first.
    ON CONFLICT DO NOTHING
)
SELECT forget_customer(:customer_id) FROM last_event
