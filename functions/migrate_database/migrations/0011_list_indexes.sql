-- By -id, as the list by status is ordered: with an index that has the order of id, the planner prefers to walk the primary key,
-- past every newer order of another status. IF NOT EXISTS for tables too large to lock: see CONTRIBUTING.
CREATE INDEX IF NOT EXISTS orders_status_newest ON orders (status, (-id));
-- One customer may have a million orders, of which few have the status.
CREATE INDEX IF NOT EXISTS orders_customer_status_newest ON orders (customer_id, status, (-id));
-- The release before asks for the order of id. Where it used this index, for a rare status, it sorts what the new one finds.
DROP INDEX orders_status;
