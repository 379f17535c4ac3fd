"""The scheduled audit: recounts every total, repairs what is wrong, and clears away what has had its time.

The triggers keep totals right whoever writes; this is the proof of it, and the alarm if it ever were not so.
"""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database

# Orders per statement: locks are short, and the statement timeout is far.
ORDERS_PER_STEP = 50_000
# Twice what the contract promises.
KEYS_KEPT_HOURS = 48
ROWS_PER_BATCH = 10_000
# Two million rows of a kind per run; what is left waits for the next one instead of keeping the recount waiting.
MOST_BATCHES = 200
# Long after every message of a run or an export has been sent again and given up: its worker was killed each time before it
# could say so.
STALE_HOURS = 24
# Three weeks after its file is gone.
EXPORTS_KEPT_DAYS = 30
# Beyond what is sent again for three days, to look into.
DELIVERIES_KEPT_DAYS = 90
# More than the statement timeout: a step that begins also ends.
SECONDS_TO_FINISH = 60

STEP = "SELECT audited, repaired, finished FROM audit_step(:batch)"
# In seconds: how long ago the last pass that came to its end began.
LAG = "SELECT greatest(0, extract(epoch FROM now() - audited_until))::bigint FROM audit_progress"
PURGE_KEYS = database.load_sql(__file__, "purge_keys.sql")
PURGE_DELIVERIES = database.load_sql(__file__, "purge_deliveries.sql")
FAIL_STALE_RUNS = database.load_sql(__file__, "fail_stale_runs.sql")
FAIL_STALE_EXPORTS = database.load_sql(__file__, "fail_stale_exports.sql")
PURGE_EXPORTS = database.load_sql(__file__, "purge_exports.sql")

logger = Logger()
metrics = Metrics()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """How many rows were wrong and have been repaired, how many were purged, and whether a pass was completed.

    A run ends with the pass or with its time; the next run goes on where it stopped.
    """
    database.begin_invocation(context)
    # First, because the recount takes whatever time there is.
    purged = _purge(context, PURGE_KEYS, hours=KEYS_KEPT_HOURS)
    purged_deliveries = _purge(context, PURGE_DELIVERIES, days=DELIVERIES_KEPT_DAYS)
    [[stale]] = database.run(FAIL_STALE_RUNS, repeatable=True, hours=STALE_HOURS)
    [[stale_exports]] = database.run(FAIL_STALE_EXPORTS, repeatable=True, hours=STALE_HOURS)
    [[purged_exports]] = database.run(PURGE_EXPORTS, repeatable=True, days=EXPORTS_KEPT_DAYS)
    repaired = {"orders": 0, "customers": 0}
    steps, finished = 0, False
    try:
        while not finished and _has_time(context):
            [[audited, rows, finished]] = database.run(STEP, repeatable=True, batch=ORDERS_PER_STEP)
            repaired[audited] += rows
            steps += 1
        [[lag]] = database.run(LAG, repeatable=True)
        metrics.add_metric("AuditLag", MetricUnit.Seconds, lag)
    finally:
        # Also when a later step failed: what was repaired is not found again.
        metrics.add_metric("AuditSteps", MetricUnit.Count, steps)
        metrics.add_metric("TotalsDrift", MetricUnit.Count, sum(repaired.values()))
        metrics.add_metric("PurgedKeys", MetricUnit.Count, purged)
        metrics.flush_metrics()
    result = {
        "repaired_orders": repaired["orders"],
        "repaired_customers": repaired["customers"],
        "purged_keys": purged,
        "purged_exports": purged_exports,
        "purged_deliveries": purged_deliveries,
        "failed_runs": stale,
        "failed_exports": stale_exports,
        "finished": finished,
        "lag_seconds": lag,
    }
    logger.info("Audited the totals", extra=result)
    return result


def _purge(context: LambdaContext, statement: str, **age: int) -> int:
    """How many rows were older than that, in batches."""
    purged = 0
    for _ in range(MOST_BATCHES):
        if not _has_time(context):
            break
        [[rows]] = database.run(statement, repeatable=True, batch=ROWS_PER_BATCH, **age)
        purged += rows
        if rows < ROWS_PER_BATCH:
            break
    return purged


def _has_time(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() >= SECONDS_TO_FINISH * 1000
