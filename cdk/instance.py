"""RDS for PostgreSQL: one instance, in production with a standby in a second zone."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.logs import log_group
from cdk.network import DATABASE_PORT, Network
from cdk.server import DATABASE, MASTER, MONITORING_SECONDS, Command, Server, join, parameters
from cdk.settings import Restored, Settings

# Construct → log of the instance. `upgrade` tells why an upgrade to a new major version was refused.
LOGS = (("Logs", "postgresql"), ("UpgradeLogs", "upgrade"))
# In UTC. RDS would choose them by chance, and a snapshot that AWS Backup starts in either, or in the hour before, fails.
BACKUP_WINDOW, MAINTENANCE_WINDOW = "02:30-03:30", "sun:04:00-sun:05:00"


class Instance:
    """What the stack makes for `database=rds`. scope: the construct whose children the resources are."""

    def __init__(self, scope: Construct, settings: Settings, network: Network, monitoring: iam.Role) -> None:
        self.settings, self.network = settings, network
        self.engine = _engine(settings)
        self.parameters = rds.ParameterGroup(scope, "Parameters", engine=self.engine, parameters=parameters(settings))
        self.resource = self._make(scope, monitoring)
        self._let_the_master_in_by_iam()
        self.server = _server(self.resource)
        self.port = self.resource.instance_endpoint.port
        group = self.resource.node.find_child("SubnetGroup")
        assert isinstance(group, rds.SubnetGroup)
        self.subnet_group = group.subnet_group_name
        # A live stack imports them.
        self.exported = (
            self.resource.instance_identifier,
            self.resource.db_instance_endpoint_address,
            self.resource.instance_resource_id,
        )

    def _make(self, scope: Construct, monitoring: iam.Role) -> rds.DatabaseInstance:
        settings, name = self.settings, f"orders-{self.settings.stage}"
        logs = [
            log_group(scope, construct_id, settings.log_days, f"/aws/rds/instance/{name}/{log}") for construct_id, log in LOGS
        ]
        instance = rds.DatabaseInstance(
            scope,
            "Instance",
            instance_identifier=name,
            engine=self.engine,
            instance_type=ec2.InstanceType(settings.instance_type),
            vpc=self.network.vpc,
            vpc_subnets=self.network.isolated,
            security_groups=[self.network.database],
            port=DATABASE_PORT,
            database_name=DATABASE,
            credentials=rds.Credentials.from_username(MASTER),
            manage_master_user_password=True,
            iam_authentication=True,
            multi_az=settings.multi_az,
            publicly_accessible=False,
            allocated_storage=settings.storage_gb,
            max_allocated_storage=settings.most_storage_gb,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            backup_retention=cdk.Duration.days(settings.backup_days),
            preferred_backup_window=BACKUP_WINDOW,
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            delete_automated_backups=not settings.protect,
            deletion_protection=settings.protect,
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.protect else cdk.RemovalPolicy.DESTROY,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=[log for _, log in LOGS],
            monitoring_interval=cdk.Duration.seconds(MONITORING_SECONDS),
            monitoring_role=monitoring,
            parameter_group=self.parameters,
        )
        instance.node.add_dependency(*logs)
        return instance

    def _let_the_master_in_by_iam(self) -> None:
        """The master user creates the roles that log in by IAM, thereby becomes a member of rds_iam, and loses its password.

        A stage of the first edition has a managed password whose secret another stack imports; both remain, unused. See
        docs/operations.md.
        """
        instance = self.resource.node.default_child
        assert isinstance(instance, rds.CfnDBInstance)
        if self.settings.first_edition:
            assert self.resource.secret is not None
            cdk.Stack.of(self.resource).export_value(self.resource.secret.secret_arn)
            return
        # CDK has no option for this yet, and otherwise requires a password.
        instance.manage_master_user_password = None
        instance.master_user_authentication_type = "iam-db-auth"


def restored_instance(scope: Construct, settings: Settings, restored: Restored, network: Network, port: float) -> Server:
    """port: of the instance that it was restored from; as a reference to that, the rules stay unchanged."""
    instance = rds.DatabaseInstance.from_database_instance_attributes(
        scope,
        "Restored",
        instance_identifier=restored.identifier,
        instance_endpoint_address=restored.endpoint,
        instance_resource_id=restored.resource_id,
        port=port,
        security_groups=[network.database],
        engine=_engine(settings),
    )
    return _server(instance)


def restore_instance(
    settings: Settings, network: Network, identifier: str, subnet_group: str, group: rds.ParameterGroup
) -> str:
    """The command. identifier: of the instance whose backups are restored."""
    options = {
        "source-db-instance-identifier": identifier,
        "target-db-instance-identifier": "NEW-NAME",
        "restore-time": "2030-12-31T23:59:59Z",
        "db-subnet-group-name": subnet_group,
        "vpc-security-group-ids": network.database.security_group_id,
        "db-parameter-group-name": group.bind_to_instance().parameter_group_name,
        "backup-retention-period": str(settings.backup_days),
        "enable-cloudwatch-logs-exports": " ".join(log for _, log in LOGS),
    }
    flags = ["enable-iam-database-authentication", "multi-az" if settings.multi_az else "no-multi-az"]
    flags += ["deletion-protection" if settings.protect else "no-deletion-protection"]
    return join([Command("restore-db-instance-to-point-in-time", options, flags)])


def _engine(settings: Settings) -> rds.IInstanceEngine:
    version = rds.PostgresEngineVersion.of(settings.postgres, settings.postgres)
    return rds.DatabaseInstanceEngine.postgres(version=version)


def _server(instance: rds.IDatabaseInstance) -> Server:
    assert instance.instance_resource_id is not None
    return Server(
        resource=instance,
        identifier=instance.instance_identifier,
        resource_id=instance.instance_resource_id,
        address=instance.db_instance_endpoint_address,
        arn=instance.instance_arn,
        target=rds.ProxyTarget.from_instance(instance),
        dimensions={"DBInstanceIdentifier": instance.instance_identifier},
    )
