-- NOT VALID, as the limits: every new event is checked, and the rows from before need not be read while the table is locked.
ALTER TABLE order_events ADD CONSTRAINT order_events_type_known CHECK (
    type IN ('created', 'item_added', 'item_updated', 'item_removed', 'paid', 'shipped', 'delivered', 'cancelled')
) NOT VALID;
