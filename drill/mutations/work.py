"""Work of the outbox, and its workers."""

from drill.mutations.kit import CHUNK, CHUNKS, CREATE_ONLY, DONE, LAYER, SENT, Mutation

TAKEN = "DELETE FROM outbox WHERE id = :outbox_id RETURNING id"
LOOK_BEFORE_WORK = f"""
    if not database.run("{TAKEN}", repeatable=True, outbox_id=message["outbox"]):
        return
"""
WORK = "    rows = database.run(CHUNK"


MUTATIONS: dict[str, Mutation] = {
    "worker_deletes_first": Mutation(
        "a worker deletes its row in the statement that does the work",
        (CHUNKS,),
        (
            (CHUNK, TAKEN, "SELECT :outbox_id::bigint AS id"),
            (
                "functions/run_seed_chunk/handler.py",
                WORK,
                f"{LOOK_BEFORE_WORK}{WORK}",
            ),
        ),
        ("backends_terminated", "postgres_restarted_immediately"),
        customers=8000,
    ),
    "chunk_twice": Mutation(
        "a chunk that has been made is not made again",
        (CHUNKS,),
        ((CHUNK, TAKEN, "SELECT :outbox_id::bigint AS id"), (CHUNK, " AND k.finished_at IS NULL\n", "\n")),
        ("backends_terminated",),
        customers=2000,
    ),
    "lease": Mutation(
        "a row that has been sent is leased",
        (SENT,),
        (("functions/relay_outbox/claim_due_rows.sql", "    due_at = now() + least(", "    due_at = now() + 0 * least("),),
        ("backends_terminated",),
        customers=8000,
    ),
    "sent_once": Mutation(
        "a row whose message was lost is sent again",
        (CHUNKS, DONE),
        (
            (
                "functions/relay_outbox/claim_due_rows.sql",
                "    due_at = now() + least(",
                "    due_at = 'infinity'::timestamptz + least(",
            ),
        ),
        ("queue_refusing", "queue_lost_messages"),
        customers=8000,
    ),
    "give_up_at_once": Mutation(
        "a message may fail several times, and as often as it likes where the database is away",
        (CHUNKS,),
        (
            (f"{LAYER}/queues.py", '>= int(os.environ["QUEUE_MAX_RECEIVES"])', ">= 1"),
            (f"{LAYER}/queues.py", "last and not _database_is_away(error):", "last:"),
        ),
        ("postgres_restarted_immediately", "backends_terminated"),
        customers=8000,
    ),
    "cancelled_goes_on": Mutation(
        "a cancelled run makes no more chunks",
        (CHUNKS,),
        ((CHUNK, " AND r.cancelled_at IS NULL\n", "\n"),),
        ("backends_terminated",),
        customers=8000,
        patience=60,
        seeder="cancel_seed",
    ),
    "export_handed_over": Mutation(
        "one worker at a time goes on with an export",
        ("an export has what was there",),
        (
            ("functions/run_export/save_export.sql", "AND worker = :worker", "AND :worker::integer IS NOT NULL"),
            ("functions/run_export/finish_export.sql", "worker = :worker", ":worker::integer IS NOT NULL"),
            ("functions/run_export/number_part.sql", "worker = :worker", ":worker::integer IS NOT NULL"),
            ("functions/run_export/begin_export.sql", "worker = :worker", ":worker::integer IS NOT NULL"),
        ),
        ("workers_and_relay_killed",),
        CREATE_ONLY,
    ),
}
