"""The database's absence, and its poolers."""

from drill.mutations.kit import (
    ABOUT,
    ANSWERS,
    CREATE_ONLY,
    CUSTOMER,
    DATABASE,
    FITS,
    LAYER,
    LOST,
    MIGRATIONS,
    RECOVERS,
    TOLD,
    UNDERSTOOD,
    Mutation,
)

APP_LOGIN = "ALTER ROLE orders_app LOGIN;"


MUTATIONS: dict[str, Mutation] = {
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
