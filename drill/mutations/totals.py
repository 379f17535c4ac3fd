"""The totals that triggers keep."""

from drill.mutations.kit import CONTENTION, CREATE_ONLY, ORDER_TOTAL, SUMMED, TOTALS, TOTALS_KEPT, Mutation, without_trigger

SUMMARY = "functions/summarize_orders/summarize_orders.sql"
BOTH = "OLD TABLE AS old_rows NEW TABLE AS new_rows"


MUTATIONS: dict[str, Mutation] = {
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
}
