-- A part of every validator, beside transaction ids. Those are used again after a restore to a point in time, where two versions
-- of a row could share a validator but for this. The migration replaces it on an instance that it has not seen before; being a
-- constant expression, it costs a statement nothing.
CREATE FUNCTION etag_generation() RETURNS text IMMUTABLE PARALLEL SAFE
RETURN '';
