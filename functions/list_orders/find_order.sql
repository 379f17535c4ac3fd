-- The order that has the reference, if it also passes the other filters. A subselect, because a release that is rolled back to
-- could not take a new column of the view away again.
SELECT id, document::text
FROM order_documents
WHERE id = (SELECT id FROM orders WHERE reference = :reference)
  AND id < :before
  AND status = coalesce(:status, status)
  AND customer_id = coalesce(:customer_id, customer_id)
  AND (:needle::text IS NULL OR strpos(email, :needle) > 0)
