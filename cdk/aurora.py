"""Aurora PostgreSQL: a writer and a reader in two zones, over storage that is in three and grows by itself.

Both instances are Serverless v2: an order service's load follows the day, capacity follows the load within seconds and without
a failover, and one setting (`aurora_max_capacity`) serves from a quiet stage to 256 capacity units. A provisioned instance of
the same size costs about half per hour, and so less where the load is steady: docs/scaling.md says when to exchange them.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.logs import log_group
from cdk.network import DATABASE_PORT, Network
from cdk.server import DATABASE, MASTER, MONITORING_SECONDS, Command, Server, join, parameters
from cdk.settings import AURORA_CLASS, AURORA_ENGINE, Restored, Settings

LOG = "postgresql"
INSTANCES = ("writer", "reader")


class Cluster:
    """What the stack makes for `database=aurora`. scope: the construct whose children the resources are."""

    def __init__(self, scope: Construct, settings: Settings, network: Network, monitoring: iam.Role) -> None:
        self.settings, self.network = settings, network
        self.parameters = rds.ParameterGroup(
            scope, "ClusterParameters", engine=_engine(settings), parameters=parameters(settings)
        )
        self.parameter_group = self.parameters.bind_to_cluster().parameter_group_name
        self.resource = self._make(scope, monitoring)
        cluster = self.resource.node.default_child
        assert isinstance(cluster, rds.CfnDBCluster)
        # CDK has no option for this yet, and otherwise requires a password.
        cluster.manage_master_user_password = None
        cluster.master_user_authentication_type = "iam-db-auth"
        self.server = _server(self.resource)
        self.port = self.resource.cluster_endpoint.port
        group = self.resource.node.find_child("Subnets")
        assert isinstance(group, rds.SubnetGroup)
        self.subnet_group = group.subnet_group_name
        # A live stack imports them.
        self.exported = (self.server.identifier, self.server.address, self.server.resource_id)

    def _make(self, scope: Construct, monitoring: iam.Role) -> rds.DatabaseCluster:
        settings, name = self.settings, cluster_name(self.settings)
        logs = log_group(scope, "ClusterLogs", settings.log_days, f"/aws/rds/cluster/{name}/{LOG}")
        cluster = rds.DatabaseCluster(
            scope,
            "Cluster",
            cluster_identifier=name,
            engine=_engine(settings),
            writer=self._member(0),
            readers=[self._member(1)],
            serverless_v2_min_capacity=settings.aurora_min_capacity,
            serverless_v2_max_capacity=settings.aurora_max_capacity,
            vpc=self.network.vpc,
            vpc_subnets=self.network.isolated,
            security_groups=[self.network.database],
            port=DATABASE_PORT,
            default_database_name=DATABASE,
            credentials=rds.Credentials.from_username(MASTER),
            manage_master_user_password=True,
            iam_authentication=True,
            storage_encrypted=True,
            backup=rds.BackupProps(retention=cdk.Duration.days(settings.backup_days)),
            delete_automated_backups=not settings.protect,
            deletion_protection=settings.protect,
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.protect else cdk.RemovalPolicy.DESTROY,
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=[LOG],
            monitoring_interval=cdk.Duration.seconds(MONITORING_SECONDS),
            monitoring_role=monitoring,
            parameter_group=self.parameters,
        )
        cluster.node.add_dependency(logs)
        return cluster

    def _member(self, number: int) -> rds.IClusterInstance:
        role = INSTANCES[number]
        return rds.ClusterInstance.serverless_v2(
            role.capitalize(),
            instance_identifier=f"{cluster_name(self.settings)}-{role}",
            # Aurora chooses zones by itself, and not necessarily two.
            availability_zone=self.network.vpc.isolated_subnets[number].availability_zone,
            auto_minor_version_upgrade=True,
            publicly_accessible=False,
            # The reader takes over with the capacity that the writer had.
            scale_with_writer=None if role == "writer" else True,
        )


def restored_cluster(scope: Construct, settings: Settings, restored: Restored, network: Network, port: float) -> Server:
    """port: of what it was restored from; as a reference to that, the rules stay unchanged."""
    cluster = rds.DatabaseCluster.from_database_cluster_attributes(
        scope,
        "RestoredCluster",
        cluster_identifier=restored.identifier,
        cluster_endpoint_address=restored.endpoint,
        cluster_resource_identifier=restored.resource_id,
        port=port,
        security_groups=[network.database],
        engine=_engine(settings),
    )
    return _server(cluster)


def restore_cluster(settings: Settings, network: Network, identifier: str, subnet_group: str, group: str) -> str:
    """The commands. identifier: of the cluster whose backups are restored."""
    source = {"source-db-cluster-identifier": identifier, "restore-to-time": "2030-12-31T23:59:59Z"}
    options = source | _options(settings, network, subnet_group, group)
    return join([Command("restore-db-cluster-to-point-in-time", options, _flags(settings)), *_instances()])


def move_to_cluster(settings: Settings, network: Network, source_arn: str, subnet_group: str) -> str:
    """The commands that make a cluster which follows the RDS instance until it is promoted, and its parameter group.

    The group is not a resource of the stack, which could then not be deployed where Aurora lacks PostgreSQL's version.
    """
    group = {"db-cluster-parameter-group-name": cluster_name(settings)}
    family = {"db-parameter-group-family": f"{AURORA_ENGINE}{settings.postgres}", "description": "orders"}
    values = [f"ParameterName={k},ParameterValue={v},ApplyMethod=pending-reboot" for k, v in parameters(settings).items()]
    source = {"replication-source-identifier": source_arn, "engine": AURORA_ENGINE}
    options = source | _options(settings, network, subnet_group, cluster_name(settings))
    return join(
        [
            Command("create-db-cluster-parameter-group", group | family),
            Command("modify-db-cluster-parameter-group", group | {"parameters": " ".join(values)}),
            Command("create-db-cluster", options, _flags(settings)),
            *_instances(),
        ]
    )


def _options(settings: Settings, network: Network, subnet_group: str, group: str) -> dict[str, str]:
    capacity = f"MinCapacity={settings.aurora_min_capacity:g},MaxCapacity={settings.aurora_max_capacity:g}"
    return {
        "db-cluster-identifier": "NEW-NAME",
        "db-subnet-group-name": subnet_group,
        "vpc-security-group-ids": network.database.security_group_id,
        "port": str(DATABASE_PORT),
        "db-cluster-parameter-group-name": group,
        "enable-cloudwatch-logs-exports": LOG,
        "serverless-v2-scaling-configuration": capacity,
    }


def _flags(settings: Settings) -> list[str]:
    return ["enable-iam-database-authentication", "deletion-protection" if settings.protect else "no-deletion-protection"]


def _instances() -> list[Command]:
    """A cluster that was restored or follows another has no instance until somebody creates one."""
    return [
        Command(
            "create-db-instance",
            {
                "db-instance-identifier": f"NEW-NAME-{role}",
                "db-cluster-identifier": "NEW-NAME",
                "db-instance-class": AURORA_CLASS,
                "engine": AURORA_ENGINE,
                "promotion-tier": "0",
            },
        )
        for role in INSTANCES
    ]


def cluster_name(settings: Settings) -> str:
    """Also of the parameter group where the stack did not make the cluster."""
    return f"orders-{settings.stage}-aurora"


def _engine(settings: Settings) -> rds.IClusterEngine:
    version = rds.AuroraPostgresEngineVersion.of(settings.postgres, settings.postgres)
    return rds.DatabaseClusterEngine.aurora_postgres(version=version)


def _server(cluster: rds.IDatabaseCluster) -> Server:
    return Server(
        resource=cluster,
        identifier=cluster.cluster_identifier,
        resource_id=cluster.cluster_resource_identifier,
        address=cluster.cluster_endpoint.hostname,
        arn=cluster.cluster_arn,
        target=rds.ProxyTarget.from_cluster(cluster),
        # Without the role, an average over both instances would hide a busy writer behind an idle reader.
        dimensions={"DBClusterIdentifier": cluster.cluster_identifier, "Role": "WRITER"},
    )
