"""The functions: one per folder in functions/, each with its own role, log group and alias."""

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.database import Database
from cdk.exports import READ_ACTIONS, WRITE_ACTIONS, Exports
from cdk.layers import ARCHITECTURE, RUNTIME, SHARED_LAYERS, layer, packages_of
from cdk.logs import log_group
from cdk.mail import configuration_set_name, may_send
from cdk.network import DATABASE_PORT, POSTGRES_PORT, Network
from cdk.queues import WorkQueue
from cdk.server import DATABASE, MASTER
from cdk.settings import Settings
from contract.edge import leases, variables
from contract.functions import Function

ALIAS = "live"
# Bundled with the function's own code, which Lambda mounts here.
RDS_ROOTS = "/var/task/rds-ca.pem"
# In the layer: the roots that every function verifies the proxy's certificate with.
AMAZON_ROOTS = "/opt/python/orders/amazon-roots.pem"
# Lambda places a function in a VPC through these; they support no resource-level permissions.
NETWORK_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
TRACING_ACTIONS = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]


@dataclass(frozen=True)
class Deployed:
    """A function with its CDK resources."""

    function: Function
    resource: lambda_.Function
    alias: lambda_.Alias


class Compute(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: Settings,
        functions: list[Function],
        *,
        network: Network,
        database: Database,
        queues: dict[str, WorkQueue],
        exports: Exports,
        around: "Compute | None" = None,
    ) -> None:
        """queues: those of the whole stage. around: the functions of the stack around this one, whose layers these share."""
        super().__init__(scope, construct_id)
        self.exports = exports
        self.settings, self.network, self.database, self.queues = settings, network, database, queues
        self.layers: list[lambda_.LayerVersion] = (
            around.layers if around else [layer(self, name, build) for name, build in SHARED_LAYERS.items()]
        )
        self.deployed = {function.name: self._deploy(function) for function in functions}

    def _deploy(self, function: Function) -> Deployed:
        part = Construct(self, function.name)
        logs = log_group(part, "Logs", self.settings.log_days)
        resource = lambda_.Function(
            part,
            "Function",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler="handler.handler",
            code=lambda_.Code.from_asset(str(function.folder), exclude=["**/__pycache__", "function.toml"]),
            layers=[*self.layers, *(layer(part, name, packages_of(name)) for name in function.layers)],
            role=self._role(part, function, logs),
            environment=self._variables(function),
            timeout=cdk.Duration.seconds(function.timeout_seconds),
            memory_size=function.memory_mb,
            log_group=logs,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            **self._place(function),
        )
        return Deployed(function, resource, lambda_.Alias(part, "Live", alias_name=ALIAS, version=resource.current_version))

    def _place(self, function: Function) -> dict[str, Any]:
        if not function.has_database:
            return {}
        return {
            "vpc": self.network.vpc,
            "vpc_subnets": self.network.isolated,
            "security_groups": [self._security_group(function)],
        }

    def _security_group(self, function: Function) -> ec2.SecurityGroup:
        if function.trigger == "deploy":
            return self.network.migration
        return self.network.exporter if function.bucket == "write" else self.network.functions

    def _role(self, part: Construct, function: Function, logs: cdk.aws_logs.LogGroup) -> iam.Role:
        """Only what this function needs; AWS's managed policies would let it write every function's logs."""
        role = iam.Role(part, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(role)
        actions = [*(NETWORK_ACTIONS if function.has_database else []), *TRACING_ACTIONS]
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=["*"]))
        if function.has_database:
            # Lambda creates network interfaces with the function's role, but the function itself must not.
            role.add_to_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    actions=NETWORK_ACTIONS,
                    resources=["*"],
                    conditions={"ArnLike": {"lambda:SourceFunctionArn": f"arn:{cdk.Aws.PARTITION}:lambda:*:*:function:*"}},
                )
            )
        if function.trigger == "deploy":
            self.database.server.grant_connect(role, MASTER)
        elif function.has_database:
            self.database.proxy.grant_connect(role, function.database_user)
        if to := [known.queue.queue_arn for name, known in self.queues.items() if function.may_send_to(name)]:
            role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=to))
        if function.bucket:
            role.add_to_policy(self.exports.statement(WRITE_ACTIONS if function.bucket == "write" else READ_ACTIONS))
        if "MAIL_CONFIGURATION_SET" in function.environment and self.settings.mail_from:
            role.add_to_policy(may_send(self.settings))
        return role

    def _variables(self, function: Function) -> dict[str, str]:
        """The same variables as on the laptop; AWS_REGION and credentials come from Lambda."""
        settings = {
            "SEED_MAX_UNFINISHED_ROWS": str(self.settings.seed_max_unfinished_rows),
            "EXPORTS_BUCKET": self.exports.bucket.bucket_name,
            "MAIL_FROM": self.settings.mail_from or "",
            "MAIL_CONFIGURATION_SET": configuration_set_name(self.settings),
            "QUEUE_LEASES": leases(known.worker for known in self.queues.values()),
        }
        found = variables(
            function,
            stage=self.settings.stage,
            settings=settings,
            queues={name: known.queue.queue_url for name, known in self.queues.items()},
            namespace=self.settings.metrics_namespace,
        )
        if not function.has_database:
            return found
        found |= {"DATABASE_NAME": DATABASE, "DATABASE_TLS": "verify"}
        if function.trigger == "deploy":
            return {
                **found,
                "DATABASE_HOST": self.database.server.address,
                "DATABASE_PORT": str(DATABASE_PORT),
                "DATABASE_USER": MASTER,
                "DATABASE_INSTANCE": self.database.server.resource_id,
                "DATABASE_CA_FILE": RDS_ROOTS,
            }
        return {
            **found,
            "DATABASE_HOST": self.database.reader if function.reads_replica else self.database.writer,
            "DATABASE_PORT": str(POSTGRES_PORT),
            "DATABASE_USER": function.database_user,
            "DATABASE_CA_FILE": AMAZON_ROOTS,
        }
