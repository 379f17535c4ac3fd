WITH switched_on AS (
    INSERT INTO mail_switch (is_on) SELECT true WHERE :wanted::boolean ON CONFLICT DO NOTHING
)
DELETE FROM mail_switch WHERE NOT :wanted::boolean
