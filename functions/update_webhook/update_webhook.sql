UPDATE webhooks AS w
SET url = coalesce(:url, w.url),
    types = coalesce(:event_types::text[], w.types),
    description = coalesce(:description, w.description),
    disabled_at = CASE :enabled::boolean WHEN false THEN coalesce(w.disabled_at, now()) WHEN true THEN NULL ELSE w.disabled_at END,
    disabled_reason = CASE :enabled::boolean
        WHEN false THEN coalesce(w.disabled_reason, 'Somebody disabled it.')
        WHEN true THEN NULL
        ELSE w.disabled_reason
    END,
    failures = CASE WHEN :enabled::boolean AND w.disabled_at IS NOT NULL THEN 0 ELSE w.failures END,
    failing_since = CASE WHEN :enabled::boolean AND w.disabled_at IS NOT NULL THEN NULL ELSE w.failing_since END
WHERE w.id = :webhook_id
  AND (:if_match::text[] IS NULL OR customer_etag(w.xmin) = ANY (:if_match::text[]))
RETURNING customer_etag(w.xmin), webhook_json(
    w.id, w.url, w.types, w.description, w.disabled_at, w.disabled_reason, w.failures, w.failing_since, w.created_at
)::text
