"""Changes of orders, and their events."""

from drill.mutations.kit import (
    ANSWERS,
    CONTENTION,
    FITS,
    ITEM,
    LAST,
    LAYER,
    MIGRATIONS,
    MIXED,
    NO_LOSS,
    ROWS,
    USED,
    WRITES,
    Mutation,
    unconditional,
    unguarded,
)

METADATA_EVENT = "order_updated_changes)\n    FROM changed_order"
ADD_ITEM = "functions/add_order_item/add_order_item.sql"
STATUS_EVENT, ITEM_EVENT = "END\n    FROM changed_order", "FROM changed_order, new_item"


MUTATIONS: dict[str, Mutation] = {
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
}
