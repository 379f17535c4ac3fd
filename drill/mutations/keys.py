"""Keys, and what else makes that a request happens once."""

from drill.mutations.kit import (
    ABOUT,
    ANSWERS,
    CHUNKS,
    CREATE_ONLY,
    CUSTOMER,
    DATABASE,
    ITEM,
    MIXED,
    NO_LOSS,
    ONE_EVENT,
    TWICE,
    USED,
    WRITES,
    Mutation,
    key_not_stored,
)

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
}
