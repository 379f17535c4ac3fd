"""Functions that run on a schedule, and once after each deployment."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.compute import Deployed

DEAD_LETTER_DAYS = 14


def schedule_period(deployed: Deployed) -> cdk.Duration:
    assert deployed.function.schedule is not None
    return cdk.Duration.minutes(deployed.function.schedule.rate_minutes)


class Schedules(Construct):
    """A failed run is not retried, since the next one does the same work; its event goes to the dead-letter queue.

    EventBridge hands events to Lambda's own queue, so it is Lambda that retries a failed function (EventInvokeConfig);
    the rule's own retries only concern events that could not be handed over.
    """

    def __init__(self, scope: Construct, construct_id: str, functions: list[Deployed]) -> None:
        super().__init__(scope, construct_id)
        self.functions = functions
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(DEAD_LETTER_DAYS),
        )
        deployed_rule = events.Rule(self, "Deployed", event_pattern=self._end_of_a_deployment())
        for deployed in functions:
            period = schedule_period(deployed)
            deployed.alias.configure_async_invoke(
                retry_attempts=0, max_event_age=period, on_failure=destinations.SqsDestination(self.dead_letters)
            )
            by_the_clock = events.Rule(self, deployed.function.name, schedule=events.Schedule.rate(period))
            for rule in (by_the_clock, deployed_rule):
                target = targets.LambdaFunction(deployed.alias, retry_attempts=0, dead_letter_queue=self.dead_letters)
                rule.add_target(target)

    def _end_of_a_deployment(self) -> events.EventPattern:
        """CloudFormation's own event. Otherwise the first run would be a period away, and its alarm on missing data would fire.

        CDK's triggers cannot do this: they all share one role, which would then be allowed to invoke the migration and the
        scheduled functions, and so would wait for functions that wait for the migration.
        """
        return events.EventPattern(
            source=["aws.cloudformation"],
            detail_type=["CloudFormation Stack Status Change"],
            detail={"stack-id": [cdk.Aws.STACK_ID], "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]}},
        )
