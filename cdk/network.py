"""A network without a way out: isolated subnets, no NAT, and an endpoint for each service that functions call."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.logs import log_group
from cdk.settings import ZONES, Settings

POSTGRES_PORT = 5432
# Not PostgreSQL's default, which every scan tries first; the proxy listens on 5432 nevertheless.
DATABASE_PORT = 6432


class Network(Construct):
    """The VPC and every security group, so that the stacks depend on each other in one direction only."""

    def __init__(self, scope: Construct, construct_id: str, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        isolated = ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=ZONES,
            nat_gateways=0,
            subnet_configuration=[isolated],
            # Nothing of ours uses it; whatever else ends up there can reach nothing.
            restrict_default_security_group=True,
        )
        self.isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        self.vpc.add_flow_log(
            "Rejected",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group(self, "FlowLogs", settings.log_days)),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.functions = self._group("Functions", "Every function")
        self.exporter = self._group("Exporter", "The worker of exports, which also speaks to S3")
        self.migration = self._group("Migration", "The migration, which alone speaks to the instance itself")
        self.proxy = self._group("Proxy", "RDS Proxy")
        self.database = self._group("Database", "The PostgreSQL instance")
        self.endpoints = self._group("Endpoints", "Interface endpoints of AWS services")
        self._allow(self.functions, self.proxy, POSTGRES_PORT, "SQL")
        self._allow(self.exporter, self.proxy, POSTGRES_PORT, "SQL")
        # S3 has addresses of its own. Without a way out, only its gateway endpoint leads anywhere from here.
        self.exporter.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "S3")
        # CDK adds the rules between the proxy and the database. The first edition had them twice: removing ours from a stage
        # of that edition could remove the one rule that both describe.
        if settings.first_edition:
            self._allow(self.proxy, self.database, DATABASE_PORT, "SQL")
        self._allow(self.migration, self.database, DATABASE_PORT, "Migrations")
        self._allow(self.functions, self.endpoints, 443, "AWS services")

    def add_endpoint(self, name: str, service: ec2.InterfaceVpcEndpointAwsService, allowed: iam.PolicyStatement) -> None:
        """An interface endpoint, through which the account's own principals may do what `allowed` says and nothing else."""
        allowed.add_any_principal()
        allowed.add_condition("StringEquals", {"aws:PrincipalAccount": cdk.Aws.ACCOUNT_ID})
        endpoint = self.vpc.add_interface_endpoint(
            name,
            service=service,
            subnets=ec2.SubnetSelection(subnets=self.vpc.isolated_subnets),
            security_groups=[self.endpoints],
            open=False,
        )
        endpoint.add_to_policy(allowed)

    def add_bucket_endpoint(self, allowed: iam.PolicyStatement) -> None:
        """S3's gateway endpoint, through which the account's own principals may do what `allowed` says and nothing else."""
        allowed.add_any_principal()
        allowed.add_condition("StringEquals", {"aws:PrincipalAccount": cdk.Aws.ACCOUNT_ID})
        endpoint = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[self.isolated])
        endpoint.add_to_policy(allowed)

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, name, vpc=self.vpc, description=description, allow_all_outbound=False)

    def _allow(self, source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int, what: str) -> None:
        target.add_ingress_rule(source, ec2.Port.tcp(port), what)
        source.add_egress_rule(target, ec2.Port.tcp(port), what)
