-- How far the audit is, in one row: a run that ends before the tables do leaves its place to the next one.
CREATE TABLE audit_progress (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT audit_progress_only_row CHECK (only_row),
    -- A pass goes through all orders, and then through all customers.
    part text NOT NULL DEFAULT 'orders' CONSTRAINT audit_progress_part_known CHECK (part IN ('orders', 'customers')),
    -- Within the part, all ids up to this one are done.
    last_id bigint NOT NULL DEFAULT 0,
    pass_began_at timestamptz NOT NULL DEFAULT now(),
    -- When the last pass that came to its end began: what was written before has been recounted since.
    audited_until timestamptz NOT NULL DEFAULT now()
);
INSERT INTO audit_progress DEFAULT VALUES;

-- Written by audit_step only, which runs with the owner's rights.
GRANT SELECT ON audit_progress TO orders_auditor;
