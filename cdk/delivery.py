"""How a release reaches its users: migrations first, then traffic in steps that an alarm takes back."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import triggers
from constructs import Construct

from cdk.compute import ALIAS, Compute, Deployed
from cdk.settings import Settings


def migrate_before(scope: Construct, compute: Compute, migration: Deployed) -> None:
    """Runs the migration when its code changed, before any other function is updated; a failure ends the deployment.

    On a rollback the former release's migration is invoked again, which finds a newer schema and leaves it.
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


class Canaries(Construct):
    """CodeDeploy shifts each alias: in production a tenth first, and back as soon as an alarm is red."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: Settings,
        functions: list[Deployed],
        alarms: dict[str, list[cloudwatch.Alarm]],
    ) -> None:
        """alarms: by function name, those that take its release back."""
        super().__init__(scope, construct_id)
        in_steps = settings.protect and not settings.all_at_once
        shift = (
            codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES
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

    def _role(self, functions: list[Deployed]) -> iam.Role:
        """AWS's managed role could change every alias of the account."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"))
        # By name and not by reference: the alias waits for its deployment group, and that for this role.
        arns = [deployed.resource.function_arn for deployed in functions]
        resources = [arn for function in arns for arn in (function, f"{function}:{ALIAS}")]
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:GetAlias", "lambda:UpdateAlias"], resources=resources))
        role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=["*"]))
        return role
