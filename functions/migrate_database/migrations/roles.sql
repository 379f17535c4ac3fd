-- Run before the migrations, on every run, as the role that connects: the server's owner on the laptop, RDS's master user in
-- the cloud. Only what the role that owns the schema (migrator) may not do itself stands here.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['migrator', 'orders_app', 'orders_seeder', 'orders_auditor', 'orders_relay', 'orders_exporter'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I', role_name);
        END IF;
    END LOOP;
    -- On RDS a member of rds_iam logs in with an IAM token, and only so. The master user is one as well from here on, since
    -- PostgreSQL 16 through the roles that it made: its password is worth nothing any more.
    FOR role_name IN
        SELECT r.rolname
        FROM pg_roles AS r
        JOIN pg_roles AS iam ON iam.rolname = 'rds_iam'
        WHERE r.rolname IN ('orders_app', 'orders_seeder', 'orders_auditor', 'orders_relay', 'orders_exporter')
          AND NOT pg_has_role(r.oid, iam.oid, 'MEMBER')
    LOOP
        EXECUTE format('GRANT rds_iam TO %I', role_name);
    END LOOP;
    -- RDS's master user is no superuser. As the maker of migrator it may pass the role on, but may act as it only when told so.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT migrator TO %I', current_user);
    END IF;
    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO migrator', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO orders_app, orders_seeder, orders_auditor, orders_relay, orders_exporter', current_database());
    -- Nobody needs temporary tables, and a table of one's own is where an attack on triggers begins.
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    -- For the runbook. RDS's master user may; elsewhere an owner who may not does without.
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;
    EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
        RAISE WARNING 'pg_stat_statements was not created: %', SQLERRM;
    END;
END
$$;

ALTER ROLE orders_app LOGIN;
ALTER ROLE orders_seeder LOGIN;
ALTER ROLE orders_auditor LOGIN;
ALTER ROLE orders_relay LOGIN;
ALTER ROLE orders_exporter LOGIN;

-- Settings live on the roles: a SET at run time would pin the client to one connection of RDS Proxy. Times are shown in the
-- session's timezone, and the server's may be another than UTC.
-- PostgreSQL would compile what it believes to be dear, and compiling the statement of a seed chunk takes longer than the chunk.
ALTER ROLE orders_app SET jit = off;
ALTER ROLE orders_seeder SET jit = off;
ALTER ROLE orders_auditor SET jit = off;
ALTER ROLE orders_relay SET jit = off;
ALTER ROLE orders_exporter SET jit = off;
-- Each stays below the timeout of the function that uses the role, so that the function can still answer.
ALTER ROLE orders_app SET timezone = 'UTC';
ALTER ROLE orders_seeder SET timezone = 'UTC';
ALTER ROLE orders_auditor SET timezone = 'UTC';
ALTER ROLE orders_relay SET timezone = 'UTC';
ALTER ROLE orders_exporter SET timezone = 'UTC';
ALTER ROLE orders_app SET statement_timeout = '5s';
ALTER ROLE orders_app SET lock_timeout = '3s';
ALTER ROLE orders_app SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE orders_seeder SET statement_timeout = '50s';
ALTER ROLE orders_seeder SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE orders_auditor SET statement_timeout = '50s';
ALTER ROLE orders_auditor SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE orders_relay SET statement_timeout = '10s';
ALTER ROLE orders_relay SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE orders_exporter SET statement_timeout = '50s';
-- Ranges are read in the order of their ids, with a few thousand customers. For each of them the planner would rather read all
-- customers and sort on disk, which takes three times as long.
ALTER ROLE orders_exporter SET enable_hashjoin = off;
ALTER ROLE orders_exporter SET enable_mergejoin = off;
-- Its snapshot is held while a part is uploaded.
ALTER ROLE orders_exporter SET idle_in_transaction_session_timeout = '30s';

-- pg_trgm is a trusted extension; its operator class must be visible to everyone.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
GRANT USAGE, CREATE ON SCHEMA public TO migrator;
GRANT USAGE ON SCHEMA public TO orders_app, orders_seeder, orders_auditor, orders_relay, orders_exporter;
