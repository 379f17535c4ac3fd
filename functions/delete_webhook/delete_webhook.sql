DELETE FROM webhooks AS w
WHERE w.id = :webhook_id
  AND (:if_match::text[] IS NULL OR customer_etag(w.xmin) = ANY (:if_match::text[]))
RETURNING w.id
