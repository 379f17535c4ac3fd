"""What both engines have in common, RDS for PostgreSQL (cdk/instance.py) and Aurora PostgreSQL (cdk/aurora.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds

from cdk.settings import Settings

MASTER = "postgres"
DATABASE = "orders"
# Slower statements are logged, without their values.
SLOW_STATEMENT_MILLISECONDS = 500
# Operating system metrics: processes, load, memory.
MONITORING_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A database that the proxy can lead to. address: where it takes writes. dimensions: of the metrics about that instance."""

    resource: rds.IDatabaseInstance | rds.IDatabaseCluster
    identifier: str
    resource_id: str
    address: str
    arn: str
    target: rds.ProxyTarget
    dimensions: Mapping[str, str]

    @property
    def aurora(self) -> bool:
        return "DBClusterIdentifier" in self.dimensions

    def grant_connect(self, role: iam.Role, user: str) -> None:
        self.resource.grant_connect(role, user)

    def metric(self, name: str, statistic: str, period: cdk.Duration, **dimensions: str | None) -> cloudwatch.Metric:
        """dimensions: differ from the writing instance's; None leaves one out."""
        chosen = {key: value for key, value in {**self.dimensions, **dimensions}.items() if value is not None}
        return cloudwatch.Metric(
            namespace="AWS/RDS", metric_name=name, dimensions_map=chosen, statistic=statistic, period=period
        )


@dataclass(frozen=True)
class Command:
    """An operation of `aws rds`. flags: options without a value."""

    operation: str
    options: Mapping[str, str]
    flags: Sequence[str] = ()


def join(commands: Sequence[Command]) -> str:
    """For a shell; each command runs if the one before it succeeded."""
    return " && ".join(
        " ".join([f"aws rds {c.operation}", *(f"--{k} {v}" for k, v in c.options.items()), *(f"--{flag}" for flag in c.flags)])
        for c in commands
    )


def parameters(settings: Settings) -> dict[str, Any]:
    """PostgreSQL's settings that differ from AWS's; the same for both engines."""
    return {
        "rds.force_ssl": "1",
        "max_connections": str(settings.max_connections),
        "shared_preload_libraries": "pg_stat_statements",
        "log_min_duration_statement": str(SLOW_STATEMENT_MILLISECONDS),
        # Statement parameters are customers' data.
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        # So are error details: the address that already exists, the key that was used before.
        "log_error_verbosity": "terse",
    }
