-- A comment on the database locks it against other comments until the transaction ends, so that two deployments at once wait for
-- each other. Only the database's owner may comment, and there is a database before the first migration: an advisory lock could
-- be held by any role that can log in, and a table to lock does not exist yet.
DO $$
BEGIN
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'Its schema is changed by migrations alone.');
END
$$
