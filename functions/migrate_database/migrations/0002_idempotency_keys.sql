-- The first answer to a creating POST, written by the statement that creates. A second send of the same key runs into the
-- primary key: its whole statement is undone and the stored answer is given again.
CREATE TABLE idempotency_keys (
    -- Keys of different callers, and of different paths, are independent. The caller is the token's subject, or empty.
    caller text NOT NULL,
    path text NOT NULL,
    key text NOT NULL CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255),
    request_hash text NOT NULL,
    location text NOT NULL,
    etag text,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, path, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

GRANT SELECT, INSERT ON idempotency_keys TO orders_app, orders_seeder;
GRANT SELECT, DELETE ON idempotency_keys TO orders_auditor;
