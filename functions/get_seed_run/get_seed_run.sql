SELECT document::text FROM seed_run_documents WHERE id = :run_id
