-- NOT VALID: every later change is checked, whoever makes it, but rows from before neither stop the deployment nor have to be
-- read while the table is locked. An order that is too large already can be cut down by SQL, in one statement.
ALTER TABLE orders
    ADD CONSTRAINT orders_item_count_limit CHECK (item_count <= 500) NOT VALID,
    -- 2^53 - 1: no larger integer survives every JSON parser.
    ADD CONSTRAINT orders_total_limit CHECK (total_cents <= 9007199254740991) NOT VALID;
ALTER TABLE customer_totals
    ADD CONSTRAINT customer_totals_spent_limit CHECK (spent_cents <= 9007199254740991) NOT VALID;
