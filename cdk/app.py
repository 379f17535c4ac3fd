"""The deployment: `make synth STAGE=prod` writes it to cdk.out, `make deploy STAGE=dev` deploys it to AWS.

Two stacks per stage. Data holds what must not be lost, and rarely changes; Api holds everything that a release changes.
CloudFormation allows a stack 500 resources, and a function takes about 14. So those of an area are a stack nested in Api: they
are deployed, and taken back, with the rest of their release.
"""

import json
import os
import sys
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from cdk.api import Api
from cdk.aurora import Cluster
from cdk.backups import Backups, CopiesStack, tell_of_failures
from cdk.ci import CiStack
from cdk.compute import Compute, Deployed
from cdk.database import Database
from cdk.delivery import Canaries, migrate_before, release_in_turn
from cdk.domain import Domain
from cdk.exports import WRITE_ACTIONS, Exports
from cdk.identity import Identity
from cdk.mail import Mail
from cdk.monitoring import (
    Monitoring,
    api_watches,
    dashboard,
    database_watches,
    function_watches,
    queue_watches,
    release_watch,
    schedule_watches,
    worker_watches,
)
from cdk.nag import acknowledge
from cdk.network import Network
from cdk.queues import WorkQueue
from cdk.schedules import Schedules
from cdk.settings import STAGES, Settings, from_context
from contract.functions import ROOT, Function, camel_case, load_functions
from contract.redrive import dead_letters_output


class DataStack(cdk.Stack):
    def __init__(
        self, scope: Construct, construct_id: str, settings: Settings, functions: list[Function], **options: Any
    ) -> None:
        super().__init__(scope, construct_id, **options)
        self.network = Network(self, "Network", settings)
        users = sorted({f.database_user for f in functions if f.has_database and f.trigger != "deploy"})
        self.database = Database(self, "Database", settings, self.network, users)
        if settings.backup_region:
            Backups(self, "Backups", settings, self.database.server.arn)
        scopes = {scope for function in functions for route in function.routes for scope in route.scopes}
        self.identity = Identity(self, "Identity", settings, scopes)
        cdk.CfnOutput(self, "Issuer", value=self.identity.issuer, description="Who issues the API's tokens")
        self.queues = {
            function.queue.name: WorkQueue(self, camel_case(function.queue.name), function)
            for function in functions
            if function.queue is not None
        }
        for name, known in self.queues.items():
            url = known.dead_letters.queue_url
            cdk.CfnOutput(self, dead_letters_output(name), value=url, description="For `make redrive`")
        self.exports = Exports(self, "Files")
        self.network.add_bucket_endpoint(self.exports.statement(WRITE_ACTIONS))
        if settings.mail_from:
            Mail(self, "Sender", settings, self.queues["mail_feedback"].queue)
        if self.queues:
            # Lambda itself receives and deletes messages; from within the network they are only sent.
            self.network.add_endpoint(
                "Sqs",
                cdk.aws_ec2.InterfaceVpcEndpointAwsService.SQS,
                cdk.aws_iam.PolicyStatement(
                    actions=["sqs:SendMessage"], resources=[known.queue.queue_arn for known in self.queues.values()]
                ),
            )


class ApiStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: Settings,
        functions: list[Function],
        data: DataStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        self.settings, self.data = settings, data
        compute = self._compute(self, [function for function in functions if not function.area])
        http, scheduled, [migration] = (_triggered(compute, trigger) for trigger in ("http", "schedule", "deploy"))
        self.api = Api(self, "Api", settings, data.identity, http)
        self.url = self.api.http.api_endpoint
        if settings.public_name:
            self.url = Domain(self, "Domain", settings.public_name, self.api).url
        self.monitoring = monitoring = Monitoring(self, "Monitoring", settings)
        self.api_alarms = {watch: monitoring.watch(watch) for watch in api_watches(self.api)}
        for watch in database_watches(data.database, settings):
            monitoring.watch(watch)
        if settings.backup_region:
            tell_of_failures(self, settings, monitoring.topic)
        canaries = self._release(self, monitoring, compute)
        for watch in schedule_watches(Schedules(self, "Schedules", scheduled), settings):
            monitoring.watch(watch)
        for watch in function_watches(migration):
            monitoring.watch(watch)
        areas = {area: self._area(area, functions, compute) for area in sorted({f.area for f in functions} - {""})}
        stacks = [stack for stack, _ in areas.values()]
        migrate_before(self, compute, migration, stacks)
        release_in_turn(canaries, stacks)
        running = [deployed for part in (compute, *(part for _, part in areas.values())) for deployed in _running(part)]
        queues = list(data.queues.values())
        dashboard(self, settings, monitoring, api=self.api, database=data.database, queues=queues, functions=running)
        cdk.CfnOutput(self, "Url", value=self.url, description="Where the API answers")

    def _compute(self, scope: Construct, functions: list[Function], around: Compute | None = None) -> Compute:
        data = self.data
        return Compute(
            scope,
            "Functions",
            self.settings,
            functions,
            network=data.network,
            database=data.database,
            queues=data.queues,
            exports=data.exports,
            around=around,
        )

    def _area(self, area: str, functions: list[Function], around: Compute) -> tuple[cdk.NestedStack, Compute]:
        stack = cdk.NestedStack(self, area.capitalize())
        compute = self._compute(stack, [function for function in functions if function.area == area], around)
        self.api.add_routes(stack, _triggered(compute, "http"))
        self._release(stack, Construct(stack, "Alarms"), compute)
        return stack, compute

    def _release(self, scope: Construct, alarms: Construct, compute: Compute) -> Canaries:
        """What the functions have beside themselves, in the same stack: their addresses, alarms, messages and canaries."""
        known = {"PUBLIC_URL": self.url, **self.api.sign_in}
        for deployed in compute.deployed.values():
            for name in deployed.function.environment:
                if name in known:
                    deployed.resource.add_environment(name, known[name])
        rolled_back_by = {}
        for deployed in _running(compute):
            own = [*function_watches(deployed), *([release_watch(deployed)] if self.settings.protect else [])]
            watched = {watch: self.monitoring.watch(watch, alarms) for watch in own}
            watched |= self.api_alarms if deployed.function.routes else {}
            rolled_back_by[deployed.function.name] = [alarm for watch, alarm in watched.items() if watch.rolls_back]
        for worker in _triggered(compute, "queue"):
            self._add_queue(worker, alarms)
        return Canaries(scope, "Canaries", self.settings, _running(compute), rolled_back_by)

    def _add_queue(self, worker: Deployed, alarms: Construct) -> None:
        settings = worker.function.queue
        assert settings is not None
        known = self.data.queues[settings.name]
        worker.alias.add_event_source(
            cdk.aws_lambda_event_sources.SqsEventSource(
                known.queue,
                batch_size=settings.batch_size,
                report_batch_item_failures=True,
                max_concurrency=settings.max_concurrency,
            )
        )
        for watch in [*queue_watches(known), *worker_watches(worker, self.settings)]:
            self.monitoring.watch(watch, alarms)


def _triggered(compute: Compute, trigger: str) -> list[Deployed]:
    return [deployed for deployed in compute.deployed.values() if deployed.function.trigger == trigger]


def _running(compute: Compute) -> list[Deployed]:
    """In the order in which they are released."""
    return [deployed for trigger in ("http", "queue", "schedule") for deployed in _triggered(compute, trigger)]


def build(context: dict[str, Any] | None = None, outdir: str | None = None) -> cdk.App:
    """The app for the stage in the context. Reads cdk.json, as tests and `make synth` run without the CLI."""
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = cdk.App(context={**flags, **(context or {})}, outdir=outdir)
    given = {name: app.node.try_get_context(name) for name in CONTEXT}
    settings = from_context(given)
    functions = [function for function in load_functions() if settings.stage in function.stages]
    name = f"Orders-{settings.stage}"
    data = DataStack(app, f"{name}-Data", settings, functions, **_options(settings))
    if settings.backup_region:
        data.add_stack_dependency(CopiesStack(app, f"{name}-Copies", settings, **_options(settings)))
    ApiStack(app, f"{name}-Api", settings, functions, data, **_options(settings))
    if repository := app.node.try_get_context("github"):
        # Whoever changes the roles of production's deployments must be allowed to deploy to production.
        CiStack(app, "OrdersCi", repository, synthesizer=cdk.DefaultStackSynthesizer(qualifier=STAGES["prod"].qualifier))
    for key, value in {"service": "orders", "stage": settings.stage}.items():
        # CDK tags this type, but CloudFormation rejects its tags.
        cdk.Tags.of(app).add(key, value, exclude_resource_types=["AWS::RDS::DBProxyTargetGroup"])
    made = data.database.made
    acknowledge(app, data.network.database, made.resource if isinstance(made, Cluster) else None)
    return app


def stacks_of(app: cdk.App) -> dict[str, cdk.Stack]:
    """A stage's stacks by the last part of their names, and nested ones by their areas'."""
    found: dict[str, cdk.Stack] = {}
    for stack in app.node.children:
        if isinstance(stack, cdk.Stack) and stack.node.id.startswith("Orders-"):
            nested = {area.node.id: area for area in stack.node.children if isinstance(area, cdk.NestedStack)}
            found |= {stack.node.id.rpartition("-")[2]: stack, **nested}
    return found


def _options(settings: Settings) -> dict[str, Any]:
    synthesizer = cdk.DefaultStackSynthesizer(qualifier=settings.qualifier)
    return {"synthesizer": synthesizer, "termination_protection": settings.protect}


CONTEXT = (
    "stage",
    "domain",
    "hosted_zone",
    "jwt_issuer",
    "jwt_audience",
    "jwt_console_client",
    "jwt_authorize_url",
    "jwt_token_url",
    "cors_origins",
    "alarm_email",
    "runbook",
    "all_at_once",
    "first_edition",
    "postgres",
    "database",
    "restored",
    "backup_region",
    "seed_max_unfinished_rows",
    "mail_from",
)


def main() -> None:
    pairs = [argument.partition("=") for argument in sys.argv[1:]]
    try:
        # The CLI sets CDK_OUTDIR; without the CLI we use its default.
        build({name: value for name, _, value in pairs}, os.environ.get("CDK_OUTDIR", str(ROOT / "cdk.out"))).synth()
    except ValueError as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
