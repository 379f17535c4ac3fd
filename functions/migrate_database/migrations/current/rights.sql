-- Who may call and read what the other files make; rights on tables are given by the migrations that make them.
--
-- PostgreSQL lets everyone execute a new function. With the owner's rights behind it, a trigger function on a table of one's own
-- writes whatever totals one likes. So nobody may but whom this says, also what older releases made; triggers need no right.

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
DO $$
DECLARE
    made regprocedure;
BEGIN
    FOR made IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) = current_user
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', made);
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION
    admit_export, allowed_actions, customer_changes_json, customer_etag, customer_json, customer_summary_json, erased_email,
    etag_generation, event_json, export_json, export_key, export_removals, feed_generation, forget_customer, metadata_json,
    order_etag, order_event_json, order_item_json, order_json
TO orders_app;
GRANT EXECUTE ON FUNCTION
    allowed_actions, customer_json, customer_summary_json, event_json, export_key, metadata_json, order_item_json, order_json, rfc3339,
    spreadsheet_text
TO orders_exporter;
GRANT EXECUTE ON FUNCTION mail_json TO orders_app;
GRANT EXECUTE ON FUNCTION
    address_hash, allowed_actions, erased_email, etag_generation, metadata_json, order_etag, order_item_json, order_json,
    suppress_address
TO orders_relay;
GRANT EXECUTE ON FUNCTION admit_seed_run, seed_chance, seed_run_json TO orders_seeder;
-- The repairs for the release before, which calls them itself.
GRANT EXECUTE ON FUNCTION audit_step, repair_order_totals, repair_customer_totals TO orders_auditor;

GRANT SELECT ON order_documents TO orders_app, orders_relay;
-- For the release before.
GRANT SELECT, INSERT ON order_events TO orders_app;
GRANT SELECT ON seed_run_documents TO orders_seeder;
GRANT SELECT ON exported_customers, exported_events, exported_items, exported_orders, exported_summary TO orders_exporter;
GRANT EXECUTE ON FUNCTION admit_webhook, webhook_json, webhook_with_secret_json, webhook_delivery_json TO orders_app;
GRANT SELECT ON webhook_documents TO orders_app;
GRANT EXECUTE ON FUNCTION event_json, kept_answer, webhook_body, webhook_room TO orders_relay;
