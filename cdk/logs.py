"""Log groups, all of which have a retention period."""

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

RETENTION = {14: logs.RetentionDays.TWO_WEEKS, 90: logs.RetentionDays.THREE_MONTHS}


def log_group(scope: Construct, construct_id: str, days: int, name: str | None = None) -> logs.LogGroup:
    """days: one of RETENTION. Logs are deleted with their stack; what has to outlive it is in the database."""
    return logs.LogGroup(
        scope, construct_id, log_group_name=name, retention=RETENTION[days], removal_policy=cdk.RemovalPolicy.DESTROY
    )
