"""How a release reaches its users: migrations first, then traffic in waves and in steps that an alarm rolls back."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import triggers
from constructs import Construct

from cdk.compute import ALIAS, Compute, Deployed
from cdk.settings import Settings

# Lambda's control plane takes 15 requests per second, a fixed quota, and every deployment keeps polling it.
AT_ONCE = 5


def migrate_before(scope: Construct, compute: Compute, migration: Deployed, areas: list[cdk.NestedStack]) -> None:
    """Runs the migration when its code has changed, before any other function is updated; a failure ends the deployment.

    A rollback invokes the previous release's migration again, which finds a newer schema and leaves it alone.
    """
    trigger = triggers.Trigger(
        scope,
        "Migration",
        handler=migration.resource,
        timeout=cdk.Duration.seconds(migration.function.timeout_seconds),
        execute_on_handler_change=True,
    )
    for deployed in compute.deployed.values():
        if deployed is not migration:
            trigger.execute_before(deployed.resource)
    trigger.execute_before(*areas)


class Canaries(Construct):
    """CodeDeploy shifts each alias: in production a tenth first, and back as soon as an alarm fires.

    A deployment starts when CloudFormation updates its alias, so each alias waits for the one AT_ONCE places before it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: Settings,
        functions: list[Deployed],
        alarms: dict[str, list[cloudwatch.Alarm]],
    ) -> None:
        """alarms: those that roll a function's release back, by function name."""
        super().__init__(scope, construct_id)
        in_steps = settings.protect and not settings.all_at_once
        shift = (
            # Longer than the slowest alarm needs to fire: three bad minutes of five, plus the metrics' delay.
            codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_10_MINUTES
            if in_steps
            else codedeploy.LambdaDeploymentConfig.ALL_AT_ONCE
        )
        application = codedeploy.LambdaApplication(self, "Application")
        role = self._role(functions)
        for deployed in functions:
            codedeploy.LambdaDeploymentGroup(
                self,
                deployed.function.name,
                application=application,
                alias=deployed.alias,
                deployment_config=shift,
                role=role.without_policy_updates(),
                alarms=alarms.get(deployed.function.name, []),
                ignore_alarm_configuration=settings.all_at_once,
                auto_rollback=codedeploy.AutoRollbackConfig(
                    failed_deployment=True, stopped_deployment=True, deployment_in_alarm=not settings.all_at_once
                ),
            ).node.add_dependency(role)
        aliases = [_resource(deployed.alias) for deployed in functions]
        for before, after in zip(aliases, aliases[AT_ONCE:], strict=False):
            after.add_resource_dependency(before)
        # The others have been shifted when these have been.
        self.last = aliases[-AT_ONCE:]

    def _role(self, functions: list[Deployed]) -> iam.Role:
        """AWS's managed policy would allow changing every alias of the account."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"))
        # By name and not by reference: the alias waits for its deployment group, and that for this role.
        arns = [deployed.resource.function_arn for deployed in functions]
        resources = [arn for function in arns for arn in (function, f"{function}:{ALIAS}")]
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:GetAlias", "lambda:UpdateAlias"], resources=resources))
        # As in AWS's managed policy: it is not documented which of a function's versions is looked up. Both only read.
        reads = ["cloudwatch:DescribeAlarms", "lambda:GetProvisionedConcurrencyConfig"]
        role.add_to_policy(iam.PolicyStatement(actions=reads, resources=["*"]))
        return role


def release_in_turn(canaries: Canaries, areas: list[cdk.NestedStack]) -> None:
    """Each area waits for the one before it, and the first for the functions of the stack around them."""
    for area, before in zip(areas, [None, *areas], strict=False):
        waiting = area.nested_stack_resource
        assert waiting is not None
        for resource in canaries.last if before is None else [before.nested_stack_resource]:
            assert resource is not None
            waiting.add_resource_dependency(resource)


def _resource(alias: lambda_.Alias) -> lambda_.CfnAlias:
    """Only the alias: its children in CDK (permissions, event sources) need not wait."""
    resource = alias.node.default_child
    assert isinstance(resource, lambda_.CfnAlias)
    return resource
