"""RDS for PostgreSQL behind RDS Proxy, IAM from end to end: there is no password."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.logs import log_group
from cdk.network import DATABASE_PORT, Network
from cdk.settings import Restored, Settings

MASTER = "postgres"
DATABASE = "orders"
# Slower statements are logged, without their values.
SLOW_STATEMENT_MILLISECONDS = 500
# Operating system metrics: processes, load, memory.
MONITORING_SECONDS = 60
# Construct → log of the instance. `upgrade` tells why an upgrade to a new major version was refused.
LOGS = (("Logs", "postgresql"), ("UpgradeLogs", "upgrade"))


class Database(Construct):
    """instance: the one in use, which after a restore is not the one that this stack created."""

    def __init__(self, scope: Construct, construct_id: str, settings: Settings, network: Network, users: list[str]) -> None:
        """users: the database roles that functions log in as through the proxy."""
        super().__init__(scope, construct_id)
        self.subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        self.engine = rds.DatabaseInstanceEngine.postgres(
            version=rds.PostgresEngineVersion.of(settings.postgres, settings.postgres)
        )
        self.parameters = rds.ParameterGroup(self, "Parameters", engine=self.engine, parameters=_parameters(settings))
        self.made = self._make(settings, network)
        self._let_the_master_in_by_iam(settings)
        self.instance: rds.IDatabaseInstance = self.made
        if settings.restored is not None:
            self.instance = self._restored(settings.restored, network)
        assert self.instance.instance_resource_id is not None
        self.resource_id: str = self.instance.instance_resource_id
        self.proxy = self._proxy(settings, network, users)
        # Exported even when unused: a live stack imports them until a restored instance has taken their place.
        for value in (self.made.instance_identifier, self.made.db_instance_endpoint_address, self.made.instance_resource_id):
            cdk.Stack.of(self).export_value(value)
        self._tell_people(settings, network)

    def _tell_people(self, settings: Settings, network: Network) -> None:
        """What the runbook needs and only CloudFormation knows, as commands to run."""
        host, group = self.instance.db_instance_endpoint_address, self.made.node.find_child("SubnetGroup")
        assert isinstance(group, rds.SubnetGroup)
        subnets = ", ".join(subnet.subnet_id for subnet in network.vpc.isolated_subnets)
        token = f"aws rds generate-db-auth-token --hostname {host} --port {DATABASE_PORT} --username {MASTER}"
        restore = {
            "source-db-instance-identifier": self.instance.instance_identifier,
            "target-db-instance-identifier": "NEW-NAME",
            "restore-time": "2030-12-31T23:59:59Z",
            "db-subnet-group-name": group.subnet_group_name,
            "vpc-security-group-ids": network.database.security_group_id,
            "db-parameter-group-name": self.parameters.bind_to_instance().parameter_group_name,
            "backup-retention-period": str(settings.backup_days),
            "enable-cloudwatch-logs-exports": " ".join(log for _, log in LOGS),
        }
        flags = ["enable-iam-database-authentication", "multi-az" if settings.multi_az else "no-multi-az"]
        flags += ["deletion-protection" if settings.protect else "no-deletion-protection"]
        words = [f"--{name} {value}" for name, value in restore.items()] + [f"--{flag}" for flag in flags]
        place = f"VPC {network.vpc.vpc_id}; one of the subnets {subnets}; group {network.migration.security_group_id}"
        shell = f'PGPASSWORD=$({token}) psql "host={host} port={DATABASE_PORT} user={MASTER} dbname={DATABASE} sslmode=require"'
        for name, value in (
            ("ShellPlace", place),
            ("ShellCommand", shell),
            ("RestoreCommand", " ".join(["aws rds restore-db-instance-to-point-in-time", *words])),
        ):
            cdk.CfnOutput(cdk.Stack.of(self), name, value=value, description="See docs/operations.md")

    def _make(self, settings: Settings, network: Network) -> rds.DatabaseInstance:
        name = f"orders-{settings.stage}"
        logs = [
            log_group(self, construct_id, settings.log_days, f"/aws/rds/instance/{name}/{log}") for construct_id, log in LOGS
        ]
        instance = rds.DatabaseInstance(
            self,
            "Instance",
            instance_identifier=name,
            engine=self.engine,
            instance_type=ec2.InstanceType(settings.instance_type),
            vpc=network.vpc,
            vpc_subnets=self.subnets,
            security_groups=[network.database],
            port=DATABASE_PORT,
            database_name=DATABASE,
            credentials=rds.Credentials.from_username(MASTER),
            manage_master_user_password=True,
            iam_authentication=True,
            multi_az=settings.multi_az,
            publicly_accessible=False,
            allocated_storage=settings.storage_gb,
            max_allocated_storage=settings.storage_gb * 5,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            backup_retention=cdk.Duration.days(settings.backup_days),
            delete_automated_backups=not settings.protect,
            deletion_protection=settings.protect,
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.protect else cdk.RemovalPolicy.DESTROY,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=[log for _, log in LOGS],
            monitoring_interval=cdk.Duration.seconds(MONITORING_SECONDS),
            monitoring_role=self._monitoring_role(),
            parameter_group=self.parameters,
        )
        instance.node.add_dependency(*logs)
        return instance

    def _monitoring_role(self) -> iam.Role:
        """For the only log group that RDS writes; AWS's managed policy allows every group whose name begins with RDS."""
        role = iam.Role(self, "MonitoringRole", assumed_by=iam.ServicePrincipal("monitoring.rds.amazonaws.com"))
        group = cdk.Stack.of(self).format_arn(
            service="logs", resource="log-group", resource_name="RDSOSMetrics", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        for actions, resource in (
            (["logs:CreateLogGroup", "logs:PutRetentionPolicy"], group),
            (
                ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"],
                f"{group}:log-stream:*",
            ),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        return role

    def _restored(self, restored: Restored, network: Network) -> rds.IDatabaseInstance:
        return rds.DatabaseInstance.from_database_instance_attributes(
            self,
            "Restored",
            instance_identifier=restored.identifier,
            instance_endpoint_address=restored.endpoint,
            instance_resource_id=restored.resource_id,
            # It has the port of the instance that it was restored from; as a reference to that, the rules stay unchanged.
            port=self.made.instance_endpoint.port,
            security_groups=[network.database],
            engine=self.engine,
        )

    def _let_the_master_in_by_iam(self, settings: Settings) -> None:
        """The master user creates the roles that log in by IAM, thereby becomes a member of rds_iam, and loses its password.

        A stage of the first edition has a managed password whose secret another stack imports; both remain, unused. See
        docs/operations.md.
        """
        instance = self.made.node.default_child
        assert isinstance(instance, rds.CfnDBInstance)
        if settings.first_edition:
            assert self.made.secret is not None
            cdk.Stack.of(self).export_value(self.made.secret.secret_arn)
            return
        # CDK has no option for this yet, and otherwise requires a password.
        instance.manage_master_user_password = None
        instance.master_user_authentication_type = "iam-db-auth"

    def _proxy(self, settings: Settings, network: Network, users: list[str]) -> rds.DatabaseProxy:
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        for user in users:
            self.instance.grant_connect(role, user)
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=f"orders-{settings.stage}",
            proxy_target=rds.ProxyTarget.from_instance(self.instance),
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            role=role,
            vpc=network.vpc,
            vpc_subnets=self.subnets,
            security_groups=[network.proxy],
            require_tls=True,
            iam_auth=True,
            max_connections_percent=settings.proxy_connections_percent,
            # Longer than any statement may take: either a borrowed connection is returned, or the request is refused in time.
            borrow_timeout=cdk.Duration.seconds(5),
        )
        # CDK does not know that the proxy cannot log in before its role has the permission.
        proxy.node.add_dependency(role)
        # Nor that it cannot reach its target before the rules between the two exist.
        proxy.node.find_child("ProxyTargetGroup").node.add_dependency(network.proxy, network.database)
        return proxy


def _parameters(settings: Settings) -> dict[str, str]:
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
