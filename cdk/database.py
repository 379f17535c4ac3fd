"""RDS for PostgreSQL behind RDS Proxy, IAM from end to end: there is no password."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from cdk.logs import log_group
from cdk.network import DATABASE_PORT, Network
from cdk.settings import Settings

MASTER = "postgres"
DATABASE = "orders"
# Slower statements are logged, without their values.
SLOW_STATEMENT_MILLISECONDS = 500


class Database(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings, network: Network, users: list[str]) -> None:
        """users: the database roles that functions log in as through the proxy."""
        super().__init__(scope, construct_id)
        subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_18)
        name = f"orders-{settings.stage}"
        logs = log_group(self, "Logs", settings.log_days, f"/aws/rds/instance/{name}/postgresql")
        self.instance = rds.DatabaseInstance(
            self,
            "Instance",
            instance_identifier=name,
            engine=engine,
            instance_type=ec2.InstanceType(settings.instance_type),
            vpc=network.vpc,
            vpc_subnets=subnets,
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
            cloudwatch_logs_exports=["postgresql"],
            parameter_group=rds.ParameterGroup(self, "Parameters", engine=engine, parameters=_parameters(settings)),
        )
        self.instance.node.add_dependency(logs)
        assert self.instance.instance_resource_id is not None
        self.resource_id: str = self.instance.instance_resource_id
        self._let_the_master_in_by_iam(settings)
        self.proxy = self._proxy(settings, network, subnets, users)

    def _let_the_master_in_by_iam(self, settings: Settings) -> None:
        """The master makes the roles that log in by IAM, becomes an indirect member of rds_iam by that, and loses its password.

        A stage of the first edition has a managed password whose secret another stack imports; both stay, unused. See
        docs/operations.md.
        """
        instance = self.instance.node.default_child
        assert isinstance(instance, rds.CfnDBInstance)
        if settings.first_edition:
            assert self.instance.secret is not None
            cdk.Stack.of(self).export_value(self.instance.secret.secret_arn)
            return
        # CDK has no option for it yet, and insists on a password otherwise.
        instance.manage_master_user_password = None
        instance.master_user_authentication_type = "iam-db-auth"

    def _proxy(self, settings: Settings, network: Network, subnets: ec2.SubnetSelection, users: list[str]) -> rds.DatabaseProxy:
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
            vpc_subnets=subnets,
            security_groups=[network.proxy],
            require_tls=True,
            iam_auth=True,
            max_connections_percent=settings.proxy_connections_percent,
            # Longer than any statement may take: a borrowed connection comes back, or the request is refused in time.
            borrow_timeout=cdk.Duration.seconds(5),
        )
        # CDK does not see that the proxy cannot log in before its role may.
        proxy.node.add_dependency(role)
        # Nor that it cannot reach its target before the rules between the two are there.
        proxy.node.find_child("ProxyTargetGroup").node.add_dependency(network.proxy, network.database)
        return proxy


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "rds.force_ssl": "1",
        "max_connections": str(settings.max_connections),
        "shared_preload_libraries": "pg_stat_statements",
        "log_min_duration_statement": str(SLOW_STATEMENT_MILLISECONDS),
        # Values of statements are customers' data.
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
    }
