"""Whether the drill would notice: copies of the service, each without one of its safeguards, are drilled until one finding.

`make drill MUTATE=all`, or the names of some, separated by commas. Each is struck by those faults that its safeguard is for.
`MUTATE=controls` drills the service as it is in each of these ways, in which nothing may be found.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from contract.functions import ROOT
from drill.checks import MOST_TOLD
from drill.note import write_section
from drill.parts import WEIGHTS
from drill.play import Plan, play
from drill.stage import Stage

Edit = tuple[str, str, str]
LOST, TWICE, ABOUT = "no acknowledged order is lost", "no order is there twice", "an answer is about what was made"
ONE_EVENT, ITEM, CUSTOMER = "a request makes one event", "an item is added once", "each customer is there once"
ANSWERS, TOLD, USED = "every answer is one of", "who asks again", "another body under a used key"
ROWS, FITS, LAST = "each order's events replayed", "every answer about an order", "an order is what its last events say"
ORDER_TOTAL, TOTALS_KEPT, SUMMED = "an order's total", "a customer's totals", "the summary is"
CHUNKS, SENT, DONE = "every chunk of a seed run", "a message is sent again only", "all work is done"
UNDERSTOOD = "every answer can be understood"
FEED, FORGOTTEN, RECOVERS = "who follows the feed", "nothing is left of who was erased", "the service recovers"
LAYER = "layers/orders/python/orders"
MIGRATIONS = "functions/migrate_database/migrations"
TOTALS, CHUNK = f"{MIGRATIONS}/current/totals.sql", "functions/run_seed_chunk/run_seed_chunk.sql"
WRITES, DATABASE = f"{LAYER}/writes.py", f"{LAYER}/database.py"
APP_LOGIN = "ALTER ROLE orders_app LOGIN;"
SUMMARY = "functions/summarize_orders/summarize_orders.sql"
EVENTS, METADATA_EVENT = f"{MIGRATIONS}/current/events.sql", "order_updated_changes)\n    FROM changed_order"
ADD_ITEM = "functions/add_order_item/add_order_item.sql"
STATUS_EVENT, ITEM_EVENT = "END\n    FROM changed_order", "FROM changed_order, new_item"
STORED = "WHERE :key::text IS NOT NULL"
TAKEN = "DELETE FROM outbox WHERE id = :outbox_id RETURNING id"
# How a key would be kept that is not part of the statement: looked up before, and stored afterwards.
TRY, CREATED = "    try:\n        rows = database.run(sql, repeatable=key", "        location, etag, text = rows[0]\n"
LOOK_FIRST = """
    if key is not None and (stored := database.run(STORED_ANSWER, repeatable=True, **identity)):
        return _replay(stored[0], request_hash, status)
"""
STORE_AFTERWARDS = """
        if key is not None:
            insert = "INSERT INTO idempotency_keys (caller, path, key, request_hash, location, etag, body)"
            insert += " VALUES (:caller, :path, :key, :hash, :location, :etag, :body) ON CONFLICT DO NOTHING"
            answer = {"hash": request_hash, "location": location, "etag": etag, "body": text}
            database.run(insert, repeatable=True, **identity, **answer)
"""
LOOK_BEFORE_WORK = f"""
    if not database.run("{TAKEN}", repeatable=True, outbox_id=message["outbox"]):
        return
"""
WORK = "    rows = database.run(CHUNK"
NO_LOSS = ("answers_cut", "functions_killed_after_commit")
CONTENTION = ("rows_locked",)
SECONDS = 14
# Of all runs so far, so that one can be repeated.
RESULTS = ROOT / ".local" / "drills" / "mutations.json"
CONTROL = "control:"
AT_ONCE = 2
CHANGES = {
    "create_order": 1,
    "add_item": 6,
    "change_item": 6,
    "remove_item": 4,
    "change_metadata": 4,
    "advance": 2,
    "read_order": 2,
}


@dataclass(frozen=True)
class Mutation:
    """safeguard: what is missing. breaks: how the promises begin that it breaks, of which one has to convict it.

    edits: file, what stands there, what stands there instead.
    """

    safeguard: str
    breaks: tuple[str, ...]
    edits: tuple[Edit, ...]
    faults: tuple[str, ...]
    wants: tuple[tuple[str, int], ...] = tuple(WEIGHTS.items())
    customers: int = 0
    pooled: bool = False
    patience: float = 20
    seeder: str = "seed"


def without_trigger(name: str, event: str, table: str, rows: str, function: str) -> Edit:
    text = f"CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table}\nREFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION "
    return TOTALS, f"{text}{function}();", ""


def unguarded(function: str) -> Edit:
    file = f"{LAYER}/{function}.sql" if function == "transition_order" else f"functions/{function}/{function}.sql"
    return file, " AND o.xmin = order_before.xmin", ""


def unconditional(function: str) -> Edit:
    return unguarded(function)[0], "AND (:if_match::text[] IS NULL OR", "AND (true OR"


def key_not_stored(function: str) -> Edit:
    return f"functions/{function}/{function}.sql", STORED, f"{STORED} AND false"


CREATE_ONLY = (("create_order", 4), ("create_order_without_key", 6), ("twice", 1), ("create_customer", 3))
MIXED = tuple(CHANGES.items())
PEOPLE = (("meet_person", 4), ("order_of_person", 6), ("change_person", 3), ("erase_person", 3))
BOTH = "OLD TABLE AS old_rows NEW TABLE AS new_rows"
MUTATIONS: dict[str, Mutation] = {
    "order_key": Mutation(
        "an order's key is stored", (ONE_EVENT, TWICE), (key_not_stored("create_order"),), NO_LOSS, CREATE_ONLY
    ),
    "item_key": Mutation("an item's key is stored", (ITEM,), (key_not_stored("add_order_item"),), NO_LOSS, MIXED),
    "customer_key": Mutation(
        "a customer's key is stored", (CUSTOMER,), (key_not_stored("create_customer"),), NO_LOSS, CREATE_ONLY
    ),
    "seed_key": Mutation(
        "a seed run's key is stored", (CHUNKS,), (key_not_stored("start_seed"),), ("answers_cut",), (("seed", 1),), 20
    ),
    "key_of_its_own": Mutation(
        "the key is stored in the transaction that creates",
        (TWICE,),
        (
            key_not_stored("create_order"),
            (WRITES, TRY, f"{LOOK_FIRST}{TRY}"),
            (WRITES, CREATED, f"{CREATED}{STORE_AFTERWARDS}"),
        ),
        NO_LOSS,
        CREATE_ONLY,
    ),
    "replay_after_change": Mutation(
        "a key is looked up also where nothing could be created",
        (USED, ITEM),
        ((WRITES, "    if key is not None and (stored :=", "    if False and (stored :="),),
        NO_LOSS,
        (("create_order", 3), ("add_item", 6), ("advance", 4), ("repeat", 4)),
    ),
    "replay_after_refusal": Mutation(
        "a key is looked up when the statement was refused",
        (ANSWERS, ABOUT, CUSTOMER),
        ((WRITES, "        if key is None or not (stored :=", "        if True or not (stored :="),),
        NO_LOSS,
        CREATE_ONLY,
    ),
    "key_hash": Mutation(
        "a key with another body is refused",
        (USED,),
        ((WRITES, "if stored_hash != request_hash:", "if False:"),),
        ("backends_terminated",),
        (("create_order", 2), ("repeat", 4)),
    ),
    "retry_unknown": Mutation(
        "what may have run is not repeated",
        (ONE_EVENT, TWICE),
        ((DATABASE, "if not repeatable:", "if False:"),),
        ("answers_cut",),
        CREATE_ONLY,
    ),
    "keyless_repeatable": Mutation(
        "only a key makes creating repeatable",
        (ONE_EVENT, TWICE),
        ((WRITES, "repeatable=key is not None", "repeatable=True"),),
        ("answers_cut",),
        CREATE_ONLY,
    ),
    **{
        f"xmin_{function}": Mutation(
            f"`xmin` guards {function}", (ANSWERS, LAST, ROWS, FITS), (unguarded(function),), CONTENTION, MIXED
        )
        for function in ("transition_order", "add_order_item", "update_order_item", "remove_order_item", "update_order")
    },
    "if_match": Mutation(
        "`If-Match` is compared in the statement",
        (FITS,),
        tuple(
            unconditional(function) for function in ("transition_order", "add_order_item", "update_order_item", "update_order")
        ),
        CONTENTION,
        MIXED,
    ),
    "items_inserted": Mutation(
        "inserted items are counted",
        (ORDER_TOTAL,),
        (without_trigger("order_items_inserted", "INSERT", "order_items", "NEW TABLE AS new_rows", "keep_order_totals"),),
        CONTENTION,
    ),
    "items_updated": Mutation(
        "changed items are counted",
        (ORDER_TOTAL,),
        (without_trigger("order_items_updated", "UPDATE", "order_items", BOTH, "keep_order_totals"),),
        CONTENTION,
    ),
    "items_deleted": Mutation(
        "deleted items are counted",
        (ORDER_TOTAL,),
        (without_trigger("order_items_deleted", "DELETE", "order_items", "OLD TABLE AS old_rows", "keep_order_totals"),),
        CONTENTION,
    ),
    "orders_inserted": Mutation(
        "new orders are added to the customer's totals",
        (TOTALS_KEPT,),
        (without_trigger("orders_inserted", "INSERT", "orders", "NEW TABLE AS new_rows", "keep_customer_totals"),),
        CONTENTION,
    ),
    "orders_updated": Mutation(
        "changed orders change the customer's totals",
        (TOTALS_KEPT,),
        (without_trigger("orders_updated", "UPDATE", "orders", BOTH, "keep_customer_totals"),),
        CONTENTION,
    ),
    "customers_inserted": Mutation(
        "a new customer has totals",
        (TOTALS_KEPT,),
        (without_trigger("customers_inserted", "INSERT", "customers", "NEW TABLE AS new_rows", "begin_customer_totals"),),
        CONTENTION,
    ),
    "delta_not_taken": Mutation(
        "deltas that are deleted are added",
        (TOTALS_KEPT,),
        ((TOTALS, " UNION ALL SELECT * FROM taken", ""),),
        CONTENTION,
        CREATE_ONLY,
    ),
    "delta_not_left": Mutation(
        "who finds the totals locked leaves a delta",
        (TOTALS_KEPT,),
        (
            (TOTALS, "INSERT INTO customer_total_deltas\n            SELECT change.*", "SELECT change.customer_id"),
            (TOTALS, "<= half\n            RETURNING customer_id", "<= half"),
        ),
        CONTENTION,
        CREATE_ONLY,
    ),
    "summary_without_deltas": Mutation(
        "the summary includes deltas",
        (SUMMED,),
        ((SUMMARY, "FROM customer_total_deltas\n", "FROM customer_total_deltas WHERE false\n"),),
        CONTENTION,
        CREATE_ONLY,
    ),
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
        "a message may fail several times",
        (CHUNKS,),
        ((f"{LAYER}/queues.py", '>= int(os.environ["QUEUE_MAX_RECEIVES"])', ">= 1"),),
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
    "any_transition": Mutation(
        "a shipped order cannot be cancelled",
        (ROWS,),
        ((f"{MIGRATIONS}/current/documents.sql", "ARRAY['deliver']", "ARRAY['deliver', 'cancel']"),),
        CONTENTION,
        (*MIXED, ("advance", 8)),
    ),
    "transition_event": Mutation(
        "a transition has its event",
        (LAST, ROWS, FITS),
        ((f"{LAYER}/transition_order.sql", STATUS_EVENT, f"{STATUS_EVENT} WHERE false"),),
        CONTENTION,
        MIXED,
    ),
    "item_event": Mutation(
        "an added item has its event",
        (LAST, ITEM, ROWS, FITS),
        ((ADD_ITEM, ITEM_EVENT, f"{ITEM_EVENT} WHERE false"),),
        CONTENTION,
        MIXED,
    ),
    "metadata_event": Mutation(
        "changed metadata have their event",
        (ROWS, FITS),
        (("functions/update_order/update_order.sql", METADATA_EVENT, f"{METADATA_EVENT} WHERE false"),),
        CONTENTION,
        MIXED,
    ),
    "metadata_merged": Mutation(
        "metadata that are not named stay",
        (FITS,),
        (("functions/update_order/update_order.sql", "o.metadata || :metadata", ":metadata"),),
        CONTENTION,
        MIXED,
    ),
    "reason": Mutation(
        "a cancellation has its reason",
        (FITS,),
        ((f"{LAYER}/transition_order.sql", "WHEN :reason::text IS NULL THEN", "WHEN true OR :reason::text IS NULL THEN"),),
        CONTENTION,
        (*MIXED, ("advance", 8)),
    ),
    "reference": Mutation(
        "no two orders share a reference",
        (USED, "a reference finds its order"),
        (
            (
                f"{MIGRATIONS}/0014_references_and_metadata.sql",
                "CREATE UNIQUE INDEX IF NOT EXISTS",
                "CREATE INDEX IF NOT EXISTS",
            ),
        ),
        CONTENTION,
        (("create_order", 4), ("use_reference", 4)),
    ),
    "feed_horizon": Mutation(
        "an event is shown once nothing that began before it can still commit",
        (FEED,),
        (("functions/list_events/list_events.sql", "AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())", ""),),
        CONTENTION,
        MIXED,
    ),
    "erased_events": Mutation(
        "an erasure rewrites the customer's events",
        (FORGOTTEN,),
        ((EVENTS, "AND order_id IS NULL AND type <> 'customer.erased'", "AND false"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_answers": Mutation(
        "an erasure rewrites stored answers",
        (FORGOTTEN,),
        ((EVENTS, "    WHERE customer_id = forgotten_id\n       --", "    WHERE false\n       --"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_meanwhile": Mutation(
        "an erasure waits for answers that are being stored",
        (FORGOTTEN,),
        (("functions/create_order/create_order.sql", "WHERE c.id = :customer_id FOR KEY SHARE", "WHERE c.id = :customer_id"),),
        CONTENTION,
        PEOPLE,
    ),
    "erased_exports": Mutation(
        "an erasure ends exports and removes their files",
        ("no file of an export",),
        ((EVENTS, "    PERFORM forget_exports(forgotten_id);\n", ""),),
        CONTENTION,
        PEOPLE,
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
    "pending_only": Mutation(
        "only a pending order's items change",
        (ROWS,),
        ((ADD_ITEM, "      AND o.status = 'pending'\n", ""),),
        CONTENTION,
        MIXED,
    ),
    "already_done": Mutation(
        "a transition that has happened is no conflict",
        (FITS,),
        ((WRITES, "if order.status == becomes:", "if False:"),),
        NO_LOSS,
        (("create_order", 3), ("advance", 8)),
    ),
    "unreachable": Mutation(
        "a database that cannot be reached is a 503",
        (ANSWERS,),
        ((DATABASE, "except (DatabaseError, InterfaceError, OSError) as error", "except DatabaseError as error"),),
        ("postgres_stopped",),
    ),
    "read_only": Mutation(
        "a read-only server is left",
        (RECOVERS, TOLD),
        ((DATABASE, "                connection.abandon()\n", "                pass\n"),),
        ("server_read_only",),
    ),
    "no_deadline": Mutation(
        "a silent database is not waited for beyond the deadline",
        ("a function answers before its timeout",),
        ((DATABASE, 'set_timeout(None if seconds == float("inf") else seconds)', "set_timeout(None)"),),
        ("answers_swallowed",),
    ),
    "synchronous_commit": Mutation(
        "a commit is on disk before it is acknowledged",
        (LOST, CUSTOMER),
        ((f"{MIGRATIONS}/roles.sql", APP_LOGIN, f"{APP_LOGIN}\nALTER ROLE orders_app SET synchronous_commit = off;"),),
        ("postgres_restarted_immediately",),
        CREATE_ONLY,
    ),
    "statement_names": Mutation(
        "a prepared statement's name is a hash of its text",
        (UNDERSTOOD, ANSWERS, ABOUT, FITS),
        (
            (
                f"{LAYER}/connection.py",
                "hashlib.blake2b(encoded, digest_size=16).hexdigest().encode()",
                "str(next(NUMBERS)).encode()",
            ),
            (
                f"{LAYER}/connection.py",
                "CONNECT_TIMEOUT_SECONDS = 3.0",
                "CONNECT_TIMEOUT_SECONDS = 3.0\nNUMBERS = iter(range(10**6))",
            ),
        ),
        ("backends_terminated",),
        pooled=True,
    ),
    "unknown_statement": Mutation(
        "a statement that the server does not know is sent again with its text",
        (ANSWERS, TOLD),
        ((f"{LAYER}/connection.py", "not in (UNKNOWN_STATEMENT, STATEMENT_OUTDATED)", "not in (STATEMENT_OUTDATED,)"),),
        ("backends_terminated",),
        pooled=True,
    ),
}


def mutated(root: Path, mutation: Mutation) -> None:
    for name in ("contract", "functions", "layers", "local"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.json", root)
    for file, old, new in mutation.edits:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text, f"{file} does not have: {old}"
        (root / file).write_text(text.replace(old, new), encoding="utf-8")


def convict(name: str, seed: int = 1) -> dict[str, list[str]]:
    """What the drill found, by check. After CONTROL a name is drilled in the same way, with its safeguard in place."""
    mutation = MUTATIONS[name.removeprefix(CONTROL)]
    if name.startswith(CONTROL):
        mutation = replace(mutation, edits=())
    seeding = {"customers": mutation.customers, "orders_per_customer": 10, "items_per_order": 3} if mutation.customers else {}
    plan = Plan(
        seed,
        SECONDS,
        6,
        mutation.faults,
        pause=(0.2, 0.8),
        wants=dict(mutation.wants),
        seeding=seeding,
        patience=mutation.patience,
        seeder={mutation.seeder: 1},
    )
    with tempfile.TemporaryDirectory(prefix="orders-mutation-") as folder:
        mutated(Path(folder) / "project", mutation)
        (Path(folder) / "stage").mkdir()
        with Stage(Path(folder) / "stage", Path(folder) / "project", pooled=mutation.pooled) as stage:
            return dict(play(stage, plan, _quiet).verdict.findings)


def controls() -> list[str]:
    """One for each way in which a mutation is drilled."""
    ways = {
        (mutation.faults, mutation.wants, mutation.customers, mutation.pooled): name for name, mutation in MUTATIONS.items()
    }
    return [f"{CONTROL}{name}" for name in ways.values()]


def told(findings: dict[str, list[str]]) -> str:
    return "; ".join(f"{check} ({len(found)})" for check, found in findings.items())


def write_down(convicted: dict[str, str], say: Callable[[str], None]) -> None:
    """What these and former runs found."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known |= convicted
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(known), encoding="utf-8")
    told_of = {name: known[name] or "**nothing**" for name in MUTATIONS if name in known}
    rows = [f"| {MUTATIONS[name].safeguard} (`{name}`) | {text} |" for name, text in told_of.items()]
    sum_up = f"{sum(bool(known.get(name)) for name in MUTATIONS)} of {len(MUTATIONS)} convicted."
    lines = ["| without | convicted by |", "|---|---|", *rows, "", sum_up]
    say("\n".join(["", *lines]))
    write_section("mutations", "make drill MUTATE=all", lines)


def _quiet(_: str) -> None:
    pass


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else "all"
    names = {"all": list(MUTATIONS), "controls": controls()}.get(wanted) or wanted.split(",")
    if unknown := {name.removeprefix(CONTROL) for name in names} - MUTATIONS.keys():
        sys.exit(f"There are {', '.join(MUTATIONS)}, not {', '.join(sorted(unknown))}")
    convicted: dict[str, str] = {}
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    with ProcessPoolExecutor(int(os.environ.get("AT_ONCE", AT_ONCE)), max_tasks_per_child=1) as pool:
        begun = time.monotonic()
        runs = {pool.submit(convict, name): name for name in names}
        for run in as_completed(runs):
            name = runs[run]
            try:
                findings = run.result()
            except Exception as reason:
                findings = {}
                say(f"{name}: the drill did not come to its end: {reason!r}")
            broken = MUTATIONS[name.removeprefix(CONTROL)].breaks
            convicted[name] = told(
                {check: found for check, found in findings.items() if check.startswith(broken) or name.startswith(CONTROL)}
            )
            say(f"{time.monotonic() - begun:6.0f} s  {name}: {told(findings) or 'nothing found'}")
            if not convicted[name] or name.startswith(CONTROL):
                for finding in [text for found in findings.values() for text in found[:MOST_TOLD]]:
                    say(f"          - {finding[:300]}")
    write_down({name: found for name, found in convicted.items() if not name.startswith(CONTROL)}, say)
    sys.exit(any(bool(convicted[name]) is name.startswith(CONTROL) for name in names))


if __name__ == "__main__":
    main()
