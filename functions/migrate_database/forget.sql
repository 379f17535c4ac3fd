DELETE FROM schema_migrations WHERE name = ANY (:names)
