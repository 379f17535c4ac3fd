-- A search finds customers by a part of their address, and asks for the orders of all of them that have a status. With the status
-- first they are neighbours, as are new orders, which are pending. Only columns can be read from an index alone, so id is in it a
-- second time; nothing orders by that. IF NOT EXISTS for tables too large to lock: see CONTRIBUTING.
CREATE INDEX IF NOT EXISTS orders_status_customer_newest ON orders (status, customer_id, (-id)) INCLUDE (id);
-- The release before asks for the same columns.
DROP INDEX orders_customer_status_newest;
