SELECT etag, document::text
FROM order_documents
WHERE id = :order_id
