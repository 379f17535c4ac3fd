"""What a mutation is, and what several of them share."""

from dataclasses import dataclass

Edit = tuple[str, str, str]
LOST, TWICE, ABOUT = "no acknowledged order is lost", "no order is there twice", "an answer is about what was made"
ONE_EVENT, ITEM, CUSTOMER = "a request makes one event", "an item is added once", "each customer is there once"
ANSWERS, TOLD, USED = "every answer is one of", "who asks again", "another body under a used key"
ROWS, FITS, LAST = "each order's events replayed", "every answer about an order", "an order is what its last events say"
ORDER_TOTAL, TOTALS_KEPT, SUMMED = "an order's total", "a customer's totals", "the summary is"
CHUNKS, SENT, DONE = "every chunk of a seed run", "a message is sent again only", "all work is done"
UNDERSTOOD = "every answer can be understood"
FEED, FORGOTTEN, RECOVERS = "who follows the feed", "nothing is left of who was erased", "the service recovers"
EACH_ARRIVES, AS_SHOWN = "each event arrives at each webhook", "what arrives is signed"
EACH_MAIL, MAIL_TWICE = "each event of an order that customers", "no mail is sent twice"
LAYER = "layers/orders/python/orders"
MIGRATIONS = "functions/migrate_database/migrations"
WRITES, DATABASE = f"{LAYER}/writes.py", f"{LAYER}/database.py"
TOTALS, CHUNK = f"{MIGRATIONS}/current/totals.sql", "functions/run_seed_chunk/run_seed_chunk.sql"
STORED = "WHERE :key::text IS NOT NULL"
NO_LOSS = ("answers_cut", "functions_killed_after_commit")
CONTENTION = ("rows_locked",)
CHANGES = {
    "create_order": 1,
    "add_item": 6,
    "change_item": 6,
    "remove_item": 4,
    "change_metadata": 4,
    "advance": 2,
    "read_order": 2,
}
CREATE_ONLY = (("create_order", 4), ("create_order_without_key", 6), ("twice", 1), ("create_customer", 3))
MIXED = tuple(CHANGES.items())


@dataclass(frozen=True)
class Mutation:
    """safeguard: what is missing. breaks: how the promises begin that it breaks, of which one has to convict it.

    edits: file, what stands there, what stands there instead. wants: of clients, all if it is empty. webhooks: how many
    receivers there are. mails: whether there are.
    """

    safeguard: str
    breaks: tuple[str, ...]
    edits: tuple[Edit, ...]
    faults: tuple[str, ...]
    wants: tuple[tuple[str, int], ...] = ()
    customers: int = 0
    pooled: bool = False
    patience: float = 20
    seeder: str = "seed"
    webhooks: int = 0
    mails: bool = False


def without_trigger(name: str, event: str, table: str, rows: str, function: str, file: str = TOTALS) -> Edit:
    text = f"CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table}\nREFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION "
    return file, f"{text}{function}();", ""


def unguarded(function: str) -> Edit:
    file = f"{LAYER}/{function}.sql" if function == "transition_order" else f"functions/{function}/{function}.sql"
    return file, " AND o.xmin = order_before.xmin", ""


def unconditional(function: str) -> Edit:
    return unguarded(function)[0], "AND (:if_match::text[] IS NULL OR", "AND (true OR"


def key_not_stored(function: str) -> Edit:
    return f"functions/{function}/{function}.sql", STORED, f"{STORED} AND false"
