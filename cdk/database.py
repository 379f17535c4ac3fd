"""PostgreSQL behind RDS Proxy, IAM from end to end: there is no password."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.aurora import Cluster, cluster_name, move_to_cluster, restore_cluster, restored_cluster
from cdk.instance import Instance, restore_instance, restored_instance
from cdk.network import DATABASE_PORT, Network
from cdk.server import DATABASE, MASTER, Server
from cdk.settings import Settings


class Database(Construct):
    """server: the one in use, which after a restore or a move is not the one that this stack made.

    writer, reader: the proxy's endpoints. What the reader answers may lag behind; on RDS the two are one.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: Settings, network: Network, users: list[str]) -> None:
        """users: the database roles that functions log in as through the proxy."""
        super().__init__(scope, construct_id)
        role = self._monitoring_role()
        self.made = (Cluster if settings.database == "aurora" else Instance)(self, settings, network, role)
        self.server = self._used(settings, network)
        self.proxy = self._proxy(settings, network, users)
        self.writer = self.reader = self.proxy.endpoint
        if self.server.aurora:
            self.reader = self._read_only_endpoint(settings, network)
        # Exported even when unused: a live stack imports them until a restored database has taken their place. For the same
        # reason CloudFormation refuses to replace a live stage's database by one of the other engine.
        for value in self.made.exported:
            cdk.Stack.of(self).export_value(value)
        self._tell_people(settings, network)

    def _used(self, settings: Settings, network: Network) -> Server:
        if settings.restored is None:
            return self.made.server
        restored = restored_cluster if settings.restored.is_cluster else restored_instance
        return restored(self, settings, settings.restored, network, self.made.port)

    def _tell_people(self, settings: Settings, network: Network) -> None:
        """What the runbook needs and only CloudFormation knows, as commands to run."""
        host = self.server.address
        subnets = ", ".join(subnet.subnet_id for subnet in network.vpc.isolated_subnets)
        token = f"aws rds generate-db-auth-token --hostname {host} --port {DATABASE_PORT} --username {MASTER}"
        place = f"VPC {network.vpc.vpc_id}; one of the subnets {subnets}; group {network.migration.security_group_id}"
        shell = f'PGPASSWORD=$({token}) psql "host={host} port={DATABASE_PORT} user={MASTER} dbname={DATABASE} sslmode=require"'
        told = {"ShellPlace": place, "ShellCommand": shell} | self._restoring(settings, network)
        for name, value in told.items():
            cdk.CfnOutput(cdk.Stack.of(self), name, value=value, description="See docs/operations.md")

    def _restoring(self, settings: Settings, network: Network) -> dict[str, str]:
        """The commands that make another database of this one."""
        made, identifier = self.made, self.server.identifier
        if isinstance(made, Cluster):
            return {"RestoreCommand": restore_cluster(settings, network, identifier, made.subnet_group, made.parameter_group)}
        if self.server.aurora:
            restore = restore_cluster(settings, network, identifier, made.subnet_group, cluster_name(settings))
        else:
            restore = restore_instance(settings, network, identifier, made.subnet_group, made.parameters)
        move = move_to_cluster(settings, network, made.server.arn, made.subnet_group)
        return {"RestoreCommand": restore, "MoveCommand": move}

    def _monitoring_role(self) -> iam.Role:
        """For the only log group that RDS writes; AWS's managed policy allows every group whose name begins with RDS."""
        role = iam.Role(self, "MonitoringRole", assumed_by=iam.ServicePrincipal("monitoring.rds.amazonaws.com"))
        group = cdk.Stack.of(self).format_arn(
            service="logs", resource="log-group", resource_name="RDSOSMetrics", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        actions = [
            "CreateLogGroup",
            "PutRetentionPolicy",
            "CreateLogStream",
            "PutLogEvents",
            "DescribeLogStreams",
            "GetLogEvents",
        ]
        # Without the second, RDS could not even make the group: that is checked against `…:RDSOSMetrics:log-stream:`.
        resources = [group, f"{group}:*"]
        role.add_to_policy(iam.PolicyStatement(actions=[f"logs:{action}" for action in actions], resources=resources))
        return role

    def _proxy(self, settings: Settings, network: Network, users: list[str]) -> rds.DatabaseProxy:
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        for user in users:
            self.server.grant_connect(role, user)
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=f"orders-{settings.stage}",
            proxy_target=self.server.target,
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            role=role,
            vpc=network.vpc,
            vpc_subnets=network.isolated,
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

    def _read_only_endpoint(self, settings: Settings, network: Network) -> str:
        endpoint = self.proxy.add_endpoint(
            "Reader",
            vpc=network.vpc,
            db_proxy_endpoint_name=f"orders-{settings.stage}-reader",
            vpc_subnets=network.isolated,
            security_groups=[network.proxy],
            target_role=rds.ProxyEndpointTargetRole.READ_ONLY,
        )
        # Only for a cluster: the proxy must have changed from the instance to it before.
        endpoint.node.add_dependency(self.proxy.node.find_child("ProxyTargetGroup"))
        return endpoint.endpoint
