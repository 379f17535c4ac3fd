"""The scheduled audit: recounts every total, repairs what is wrong, and clears away what has had its time.

The triggers keep totals right whoever writes; this is the proof of it, and the alarm if it ever were not so.
"""

from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database

# A range of ids is a statement of its own, so that locks are short and the statement timeout is far.
RANGE = 50_000
# Twice what the contract promises.
KEYS_KEPT_HOURS = 48
# Long after SQS has given up on every message of a run: its worker was killed each time before it could say so.
STALE_RUN_HOURS = 24
SECONDS_TO_FINISH = 60

BOUNDS = "SELECT coalesce(max(id), 0) FROM "
REPAIRS = {
    "orders": "SELECT repair_order_totals(:first, :last)",
    "customers": "SELECT repair_customer_totals(:first, :last)",
}
PURGE_KEYS = """
WITH purged AS (
    DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => :hours::integer) RETURNING 1
)
SELECT count(*) FROM purged
"""
FAIL_STALE_RUNS = """
WITH failed AS (
    UPDATE seed_runs SET failed_at = now(), error = 'The worker never finished it.'
    WHERE id IN (SELECT id FROM unfinished_seed_runs) AND created_at < now() - make_interval(hours => :hours::integer)
    RETURNING 1
)
SELECT count(*) FROM failed
"""

logger = Logger()
metrics = Metrics()


class AuditIncomplete(Exception):
    """The time was not enough for the whole audit. What was repaired stays repaired."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """How many rows were wrong and are right now, and how many were cleared away."""
    database.begin_invocation(context)
    repaired = {table: _repair(table, context) for table in REPAIRS}
    [[purged]] = database.run(PURGE_KEYS, repeatable=True, hours=KEYS_KEPT_HOURS)
    [[stale]] = database.run(FAIL_STALE_RUNS, repeatable=True, hours=STALE_RUN_HOURS)
    result = {
        "repaired_orders": repaired["orders"],
        "repaired_customers": repaired["customers"],
        "purged_keys": purged,
        "failed_runs": stale,
    }
    metrics.add_metric("TotalsDrift", MetricUnit.Count, sum(repaired.values()))
    metrics.add_metric("AuditCompleted", MetricUnit.Count, 1)
    metrics.flush_metrics()
    logger.info("Audited the totals", extra=result)
    return result


def _repair(table: str, context: LambdaContext) -> int:
    [[highest]] = database.run(BOUNDS + table, repeatable=True)
    repaired = 0
    for first, last in _ranges(highest):
        if context.get_remaining_time_in_millis() < SECONDS_TO_FINISH * 1000:
            raise AuditIncomplete(f"{table} were audited up to id {first - 1} of {highest}")
        [[rows]] = database.run(REPAIRS[table], repeatable=True, first=first, last=last)
        repaired += rows
    return repaired


def _ranges(highest: int) -> Iterator[tuple[int, int]]:
    for first in range(1, highest + 1, RANGE):
        yield first, first + RANGE - 1
