"""Alarms and the dashboard. Every alarm says what it means, where to read what to do, and how missing data is treated."""

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk.api import Api
from cdk.compute import ALIAS, Deployed
from cdk.database import Database
from cdk.mail import configuration_set_name
from cdk.queues import WorkQueue
from cdk.schedules import Schedules, schedule_period
from cdk.server import Server
from cdk.settings import RESERVED_CONNECTIONS, Settings

MINUTE, FIVE_MINUTES = cdk.Duration.minutes(1), cdk.Duration.minutes(5)
# Three slow requests at night are not an incident: a percentile only counts with enough requests per minute to be
# more than the slowest of them.
ENOUGH_FOR_P95, ENOUGH_FOR_P99 = 20, 100
LATENCY_MILLISECONDS = 500
ERROR_PERCENT = 1
# Clients make mistakes, but not in every second request: beyond this the fault is ours.
REFUSED_PERCENT = 50
CPU_PERCENT = 80
CONNECTIONS_PERCENT = 80
# RDS adds storage when 10 % is left; below that, it has failed to.
FREE_STORAGE_PERCENT = 7
CAPACITY_PERCENT = 90
# Readers share the writer's storage and usually follow within a tenth of a second.
REPLICA_LAG_MILLISECONDS = 2000
BACKLOG_MESSAGES = 1000
MESSAGE_AGE_SECONDS = 900
AUDIT_LAG_HOURS = 24
OUTBOX_LAG_SECONDS = 60
# SES looks into accounts from 5 % and 0.1 % on, and stops them at 10 % and 0.5 %.
BOUNCE_PERCENT, COMPLAINT_PERCENT = 2, 0.1
MAIL_DELAY_SECONDS = 900
# CloudWatch's limit.
ALARMS_PER_WIDGET = 100
# Receivers fail one by one. When most attempts do, it is more likely that we cannot reach the world.
WEBHOOK_ATTEMPTS, WEBHOOKS_FAILING_PERCENT = 20, 80

Metric = cloudwatch.IMetric
MISSING_DATA_IS_FINE = cloudwatch.TreatMissingData.NOT_BREACHING
MISSING_DATA_IS_AN_ALARM = cloudwatch.TreatMissingData.BREACHING


@dataclass(frozen=True)
class Watch:
    """An alarm that fires when `metric` is above (below=True: below) the threshold in `points` of the last `of` periods."""

    name: str
    sentence: str
    metric: Metric
    threshold: float
    below: bool = False
    points: int = 3
    of: int = 5
    missing_data: cloudwatch.TreatMissingData = MISSING_DATA_IS_FINE
    # False for an alarm that only CodeDeploy reads: people learn of the deployment that it ends.
    mails: bool = True
    # Whether a deployment that makes it fire is rolled back.
    rolls_back: bool = False


def at_once(name: str, sentence: str, metric: Metric, threshold: float, **options: Any) -> Watch:
    """An alarm for which one period is enough."""
    return Watch(name, sentence, metric, threshold, points=1, of=1, **options)


class Monitoring(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.settings = settings
        self.topic = self._topic()
        self.alarms: dict[str, cloudwatch.Alarm] = {}

    def watch(self, watch: Watch, scope: Construct | None = None) -> cloudwatch.Alarm:
        """scope: where the alarm belongs, if not here."""
        comparison = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            scope or self,
            watch.name,
            alarm_name=f"orders-{self.settings.stage}-{watch.name}",
            alarm_description=f"{watch.sentence} What to do: {self.settings.runbook}#{_anchor(watch.name)}",
            metric=watch.metric,
            threshold=watch.threshold,
            comparison_operator=comparison.LESS_THAN_THRESHOLD if watch.below else comparison.GREATER_THAN_THRESHOLD,
            datapoints_to_alarm=watch.points,
            evaluation_periods=watch.of,
            treat_missing_data=watch.missing_data,
        )
        if watch.mails:
            alarm.add_alarm_action(actions.SnsAction(self.topic))
            alarm.add_ok_action(actions.SnsAction(self.topic))
        self.alarms[watch.name] = alarm
        return alarm

    def graph(self, title: str, left: list[Metric], alarm: str | None = None, **options: Any) -> cloudwatch.GraphWidget:
        """A third of a row of the dashboard. alarm: whose threshold is drawn."""
        annotations = [self.alarms[alarm].to_annotation()] if alarm else []
        return cloudwatch.GraphWidget(title=title, left=left, left_annotations=annotations, width=8, **options)

    def _topic(self) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", topic_name=f"orders-{self.settings.stage}-alarms", enforce_ssl=True)
        # enforce_ssl adds a policy, which replaces SNS's default: without this statement no alarm would ever arrive.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )
        if self.settings.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.settings.alarm_email))
        return topic


def api_watches(api: Api) -> list[Watch]:
    requests = _api(api, "Count", "SampleCount")

    def share(name: str, expression: str) -> Metric:
        return cloudwatch.MathExpression(
            expression=expression,
            using_metrics={"errors": _api(api, name, "Sum"), "requests": requests},
            period=MINUTE,
            label=f"{name} %",
        )

    def percentile(statistic: str, enough: int) -> Metric:
        return cloudwatch.MathExpression(
            expression=f"IF(requests >= {enough}, latency)",
            using_metrics={"latency": _api(api, "Latency", statistic), "requests": requests},
            period=MINUTE,
            label=f"{statistic} ms",
        )

    return [
        Watch(
            "server-errors",
            f"More than {ERROR_PERCENT} % of the requests end in a 5xx.",
            share("5xx", "100 * FILL(errors, 0) / requests"),
            ERROR_PERCENT,
            rolls_back=True,
        ),
        Watch(
            "client-errors",
            f"More than {REFUSED_PERCENT} % of the requests are refused with a 4xx.",
            share("4xx", f"IF(requests >= {ENOUGH_FOR_P95}, 100 * FILL(errors, 0) / requests)"),
            REFUSED_PERCENT,
            points=5,
            of=10,
        ),
        Watch(
            "latency-p95",
            f"One request in twenty takes over {LATENCY_MILLISECONDS} ms.",
            percentile("p95", ENOUGH_FOR_P95),
            LATENCY_MILLISECONDS,
        ),
        Watch(
            "latency-p99",
            f"One request in a hundred takes over {LATENCY_MILLISECONDS} ms.",
            percentile("p99", ENOUGH_FOR_P99),
            LATENCY_MILLISECONDS,
        ),
    ]


def database_watches(database: Database, settings: Settings) -> list[Watch]:
    server = database.server
    usable = settings.max_connections - RESERVED_CONNECTIONS
    return [
        Watch(
            "database-cpu",
            f"The database's CPU is over {CPU_PERCENT} %.",
            server.metric("CPUUtilization", "Average", MINUTE),
            CPU_PERCENT,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        Watch(
            "database-connections",
            f"Over {CONNECTIONS_PERCENT} % of the instance's {usable} connections are in use.",
            server.metric("DatabaseConnections", "Maximum", MINUTE),
            usable * CONNECTIONS_PERCENT // 100,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        *(_aurora_watches(server, settings) if server.aurora else [_storage_watch(server, settings)]),
        Watch(
            "proxy-connections",
            f"The proxy uses over {CONNECTIONS_PERCENT} % of the {settings.proxy_connections} connections it may open.",
            _proxy(database, "DatabaseConnections"),
            settings.proxy_connections * CONNECTIONS_PERCENT // 100,
        ),
        Watch(
            "proxy-pinned",
            "Sessions are pinned to a connection: something at run time sets session state, and the pool shrinks.",
            _proxy(database, "DatabaseConnectionsCurrentlySessionPinned"),
            0,
        ),
    ]


def _storage_watch(server: Server, settings: Settings) -> Watch:
    return Watch(
        "database-storage",
        f"Less than {FREE_STORAGE_PERCENT} % of the database's storage is free.",
        server.metric("FreeStorageSpace", "Minimum", FIVE_MINUTES),
        settings.storage_gb * 2**30 * FREE_STORAGE_PERCENT // 100,
        below=True,
        missing_data=MISSING_DATA_IS_AN_ALARM,
    )


def _aurora_watches(server: Server, settings: Settings) -> list[Watch]:
    return [
        Watch(
            "database-capacity",
            f"The database uses over {CAPACITY_PERCENT} % of the {settings.aurora_max_capacity:g} capacity units it may have.",
            server.metric("ACUUtilization", "Average", MINUTE),
            CAPACITY_PERCENT,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        Watch(
            "database-replica-lag",
            f"The reader is more than {REPLICA_LAG_MILLISECONDS} ms behind, or there is none that could take over.",
            _replica_lag(server),
            REPLICA_LAG_MILLISECONDS,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        Watch(
            "database-deadlocks",
            "Transactions wait for each other; PostgreSQL ends one of them, and the service repeats it.",
            server.metric("Deadlocks", "Average", MINUTE),
            0,
        ),
        at_once(
            "database-volume",
            f"The database holds more than {settings.most_storage_gb} GB.",
            _volume(server),
            settings.most_storage_gb * 2**30,
        ),
    ]


def _replica_lag(server: Server) -> Metric:
    return server.metric("AuroraReplicaLag", "Maximum", MINUTE, Role="READER")


def _volume(server: Server) -> Metric:
    """Of the cluster, whose instances share it."""
    return server.metric("VolumeBytesUsed", "Maximum", cdk.Duration.hours(1), Role=None)


def queue_watches(queue: WorkQueue) -> list[Watch]:
    return [
        Watch(
            f"{queue.name}-backlog",
            f"More than {BACKLOG_MESSAGES} messages of {queue.name} are waiting.",
            queue.queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, statistic="Maximum"),
            BACKLOG_MESSAGES,
        ),
        at_once(
            f"{queue.name}-age",
            f"A message of {queue.name} has been waiting for over {MESSAGE_AGE_SECONDS // 60} minutes.",
            queue.queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum"),
            MESSAGE_AGE_SECONDS,
        ),
        at_once(
            f"{queue.name}-dead-letters",
            f"A message of {queue.name} failed repeatedly and is in the dead-letter queue.",
            queue.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            0,
        ),
    ]


def worker_watches(worker: Deployed, settings: Settings) -> list[Watch]:
    """What the workers count themselves."""
    if worker.function.name == "run_export":
        failed = _ours(worker, "ExportFailed", FIVE_MINUTES, settings)
        return [at_once("export-failed", "An export was given up; its document says so.", failed, 0)]
    if worker.function.name == "settle_mail" and settings.mail_from:
        return _mail_watches(worker, settings)
    return _webhook_watches(worker, settings) if worker.function.name == "settle_webhook" else []


def _mail_watches(settle: Deployed, settings: Settings) -> list[Watch]:
    """settle: the function that records what came of each mail."""
    return [
        at_once(
            "mail-bounces",
            f"More than {BOUNCE_PERCENT} % of the mails bounce.",
            _reputation("BounceRate", settings),
            BOUNCE_PERCENT / 100,
        ),
        at_once(
            "mail-complaints",
            f"More than {COMPLAINT_PERCENT} % of the mails are called spam by their readers.",
            _reputation("ComplaintRate", settings),
            COMPLAINT_PERCENT / 100,
        ),
        Watch(
            "mail-unsent",
            "SES does not take mails, or refuses them.",
            _ours(settle, "MailsUnsent", FIVE_MINUTES, settings),
            0,
        ),
        Watch(
            "mail-late",
            f"Mails are sent more than {MAIL_DELAY_SECONDS // 60} minutes after what they tell of.",
            _ours(settle, "MailDelay", FIVE_MINUTES, settings, "Maximum"),
            MAIL_DELAY_SECONDS,
        ),
    ]


def _reputation(name: str, settings: Settings) -> Metric:
    """A share of what was sent by our configuration set, as SES counts it."""
    return cloudwatch.Metric(
        namespace="AWS/SES",
        metric_name=f"Reputation.{name}",
        dimensions_map={"ses:configuration-set": configuration_set_name(settings)},
        statistic="Maximum",
        period=cdk.Duration.hours(1),
    )


def function_watches(deployed: Deployed) -> list[Watch]:
    name = deployed.function.name.replace("_", "-")
    # A client sees a failure and retries. The other triggers have no client, and a deployment invokes without the alias.
    has_clients = deployed.function.trigger == "http"
    errors = (deployed.alias if has_clients else deployed.resource).metric_errors(period=MINUTE, statistic="Sum")
    return [
        Watch(
            f"{name}-errors",
            f"{deployed.function.name} crashes or times out.",
            errors,
            0,
            points=2 if has_clients else 1,
            of=5 if has_clients else 1,
            rolls_back=True,
        ),
        Watch(
            f"{name}-throttles",
            f"{deployed.function.name} is throttled: the account's concurrency is used up.",
            deployed.alias.metric_throttles(period=MINUTE, statistic="Sum"),
            0,
            points=2,
        ),
    ]


def release_watch(deployed: Deployed) -> Watch:
    """Counts the new version's errors only: a tenth of one function's requests would be lost in the rate of all requests."""
    name = deployed.resource.function_name
    dimensions = {
        "FunctionName": name,
        "Resource": f"{name}:{ALIAS}",
        "ExecutedVersion": deployed.resource.current_version.version,
    }
    errors = cloudwatch.Metric(
        namespace="AWS/Lambda", metric_name="Errors", dimensions_map=dimensions, statistic="Sum", period=MINUTE
    )
    return at_once(
        f"{deployed.function.name.replace('_', '-')}-release",
        f"The newest version of {deployed.function.name} crashes or times out; its deployment is rolled back.",
        errors,
        0,
        mails=False,
        rolls_back=True,
    )


def schedule_watches(schedules: Schedules, settings: Settings) -> list[Watch]:
    watches = [
        at_once(
            "schedule-dead-letters",
            "A scheduled run failed or never started; its event is in the dead-letter queue.",
            schedules.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            0,
        )
    ]
    for deployed in schedules.functions:
        if deployed.function.name == "audit_totals":
            watches += _audit_watches(deployed, settings)
        if deployed.function.name == "check_health":
            watches.append(_health_watch(deployed, settings))
        if deployed.function.name == "relay_outbox":
            watches += _outbox_watches(deployed, settings)
    return watches


def _health_watch(check: Deployed, settings: Settings) -> Watch:
    return Watch(
        "health",
        "The public address has not answered its health check for three minutes.",
        _ours(check, "HealthAnswered", MINUTE, settings),
        1,
        below=True,
        points=3,
        of=3,
        missing_data=MISSING_DATA_IS_AN_ALARM,
    )


def _outbox_watches(relay: Deployed, settings: Settings) -> list[Watch]:
    return [
        Watch(
            "outbox-lag",
            f"A row of the outbox was due for over {OUTBOX_LAG_SECONDS} seconds before it was sent, or no relay runs.",
            _ours(relay, "OutboxLag", MINUTE, settings, "Maximum"),
            OUTBOX_LAG_SECONDS,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        Watch(
            "outbox-unsent",
            "Messages cannot be handed to their queue; their rows wait in the outbox.",
            _ours(relay, "OutboxUnsent", MINUTE, settings),
            0,
            of=10,
        ),
    ]


def _webhook_watches(settling: Deployed, settings: Settings) -> list[Watch]:
    counts = {
        "attempts": _ours(settling, "WebhookAttempts", FIVE_MINUTES, settings),
        "failed": _ours(settling, "WebhookAttemptsFailed", FIVE_MINUTES, settings),
    }
    share = cloudwatch.MathExpression(
        expression=f"IF(attempts >= {WEBHOOK_ATTEMPTS}, 100 * FILL(failed, 0) / attempts)",
        using_metrics=counts,
        period=FIVE_MINUTES,
        label="failed %",
    )
    return [
        Watch(
            "webhooks-failing",
            f"More than {WEBHOOKS_FAILING_PERCENT} % of the attempts to deliver webhooks fail.",
            share,
            WEBHOOKS_FAILING_PERCENT,
            points=3,
            of=3,
        ),
        at_once(
            "webhooks-disabled",
            "A webhook was disabled, because its receiver refused or failed for three days.",
            _ours(settling, "WebhooksDisabled", FIVE_MINUTES, settings),
            0,
        ),
    ]


def _audit_watches(audit: Deployed, settings: Settings) -> list[Watch]:
    period = schedule_period(audit)
    return [
        at_once(
            "totals-drift",
            "The audit found totals that were wrong; it repaired them.",
            _ours(audit, "TotalsDrift", period, settings),
            0,
        ),
        Watch(
            "audit-missing",
            "The audit of the totals has not completed a step for three of its periods.",
            _ours(audit, "AuditSteps", period, settings),
            1,
            below=True,
            points=3,
            of=3,
            missing_data=MISSING_DATA_IS_AN_ALARM,
        ),
        at_once(
            "audit-lag",
            f"Not everything written over {AUDIT_LAG_HOURS} hours ago has been audited yet.",
            _ours(audit, "AuditLag", period, settings, "Maximum"),
            AUDIT_LAG_HOURS * 3600,
        ),
    ]


def dashboard(
    scope: Construct,
    settings: Settings,
    monitoring: Monitoring,
    *,
    api: Api,
    database: Database,
    queues: list[WorkQueue],
    functions: list[Deployed],
) -> None:
    """Is it our fault, and where? Alarms first, then the path of a request from the gateway to the disk, then the queues."""
    graph = monitoring.graph
    rate = monitoring.alarms["server-errors"].metric
    # An account's regions share its dashboards.
    board = cloudwatch.Dashboard(scope, "Dashboard", dashboard_name=f"orders-{settings.stage}-{cdk.Aws.REGION}")
    alarms = list(monitoring.alarms.values())
    for first in range(0, len(alarms), ALARMS_PER_WIDGET):
        shown = alarms[first : first + ALARMS_PER_WIDGET]
        board.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=shown, width=24, height=6))
    board.add_widgets(
        graph("Requests per minute", [_api(api, "Count", "SampleCount"), _api(api, "4xx", "Sum"), _api(api, "5xx", "Sum")]),
        graph("5xx %", [rate], "server-errors"),
        graph("Latency, ms", [_api(api, "Latency", name) for name in ("p50", "p95", "p99")], "latency-p99"),
    )
    board.add_widgets(
        graph("Errors by function", [d.alias.metric_errors(period=MINUTE, label=d.function.name) for d in functions]),
        graph(
            "Slowest 1 % by function, ms",
            [d.alias.metric_duration(period=MINUTE, statistic="p99", label=d.function.name) for d in functions],
        ),
        graph("Gateway's share of the latency, ms", [_api(api, "Latency", "p95"), _api(api, "IntegrationLatency", "p95")]),
    )
    _add_database_graphs(board, monitoring, database)
    board.add_widgets(*_outbox_graphs(settings, monitoring, queues, functions))
    for settling in [deployed for deployed in functions if deployed.function.name == "settle_webhook"]:
        counts: list[Metric] = [
            _ours(settling, name, MINUTE, settings) for name in ("WebhookAttempts", "WebhookAttemptsFailed", "WebhooksDisabled")
        ]
        share = monitoring.alarms["webhooks-failing"].metric
        board.add_widgets(graph("Webhooks' attempts", counts), graph("Webhooks failing, %", [share], "webhooks-failing"))
    if settings.mail_from:
        board.add_widgets(*_mail_graphs(settings, monitoring, functions))


def _add_database_graphs(board: cloudwatch.Dashboard, monitoring: Monitoring, database: Database) -> None:
    graph, server = monitoring.graph, database.server
    board.add_widgets(
        graph("Database CPU %", [server.metric("CPUUtilization", "Average", MINUTE)], "database-cpu"),
        graph(
            "Connections",
            [
                server.metric("DatabaseConnections", "Maximum", MINUTE),
                _proxy(database, "ClientConnections"),
            ],
            "database-connections",
        ),
        graph("Waiting for a connection, µs", [_proxy(database, "DatabaseConnectionsBorrowLatency", "Average")]),
    )
    pinned = graph("Pinned sessions", [_proxy(database, "DatabaseConnectionsCurrentlySessionPinned")], "proxy-pinned")
    latency: list[Metric] = [server.metric(name, "Average", MINUTE) for name in ("ReadLatency", "WriteLatency")]
    if server.aurora:
        capacity = server.metric("ACUUtilization", "Average", MINUTE)
        board.add_widgets(
            graph("Capacity in use, %", [capacity], "database-capacity"),
            graph("Reader's lag, ms", [_replica_lag(server)], "database-replica-lag"),
            pinned,
        )
        board.add_widgets(graph("Volume", [_volume(server)], "database-volume"), graph("Disk latency, s", latency))
    else:
        storage = server.metric("FreeStorageSpace", "Average", FIVE_MINUTES)
        board.add_widgets(graph("Free storage", [storage], "database-storage"), graph("Disk latency, s", latency), pinned)


def _outbox_graphs(
    settings: Settings, monitoring: Monitoring, queues: list[WorkQueue], functions: list[Deployed]
) -> list[cloudwatch.GraphWidget]:
    relay = next(deployed for deployed in functions if deployed.function.name == "relay_outbox")
    lag: Metric = _ours(relay, "OutboxLag", MINUTE, settings, "Maximum")
    unsent: Metric = _ours(relay, "OutboxUnsent", MINUTE, settings)
    graphs = [monitoring.graph("Outbox, s late", [lag], "outbox-lag", right=[unsent])]
    if queues:
        waiting: list[Metric] = [
            q.queue.metric_approximate_number_of_messages_visible(period=MINUTE, label=q.name) for q in queues
        ]
        oldest: list[Metric] = [q.queue.metric_approximate_age_of_oldest_message(period=MINUTE, label=q.name) for q in queues]
        graphs += [monitoring.graph("Waiting messages", waiting), monitoring.graph("Oldest message, s", oldest)]
    return graphs


def _mail_graphs(settings: Settings, monitoring: Monitoring, functions: list[Deployed]) -> list[cloudwatch.GraphWidget]:
    settle = next(deployed for deployed in functions if deployed.function.name == "settle_mail")
    counts: list[Metric] = [_ours(settle, name, FIVE_MINUTES, settings) for name in ("MailsSent", "MailsUnsent")]
    rates = [_reputation(name, settings) for name in ("BounceRate", "ComplaintRate")]
    delay: Metric = _ours(settle, "MailDelay", FIVE_MINUTES, settings, "Maximum")
    graph = monitoring.graph
    return [
        graph("Mails", counts, "mail-unsent"),
        graph("Bounces and complaints, share", rates, "mail-bounces"),
        graph("Latest mail, s after its event", [delay], "mail-late"),
    ]


def _api(api: Api, name: str, statistic: str) -> cloudwatch.Metric:
    dimensions = {"ApiId": api.http.api_id}
    return cloudwatch.Metric(
        namespace="AWS/ApiGateway",
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        period=MINUTE,
        label=f"{name} {statistic}",
    )


def _proxy(database: Database, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
    """Each node of the proxy reports its own numbers; only their sum describes the proxy."""
    dimensions = {"ProxyName": database.proxy.db_proxy_name}
    return cloudwatch.Metric(
        namespace="AWS/RDS", metric_name=name, dimensions_map=dimensions, statistic=statistic, period=MINUTE
    )


def _ours(deployed: Deployed, name: str, period: cdk.Duration, settings: Settings, statistic: str = "Sum") -> cloudwatch.Metric:
    """A metric that a function writes into its log (EMF)."""
    return cloudwatch.Metric(
        namespace=settings.metrics_namespace,
        metric_name=name,
        dimensions_map={"service": deployed.function.name},
        statistic=statistic,
        period=period,
    )


def _anchor(name: str) -> str:
    """The section of the runbook; all functions share theirs, and all queues."""
    for shared in ("errors", "throttles", "release"):
        if name.endswith(f"-{shared}") and name not in ("server-errors", "client-errors"):
            return f"function-{shared}"
    for ending, shared in (("-backlog", "queue-backlog"), ("-age", "queue-age"), ("-dead-letters", "dead-letters")):
        if name.endswith(ending) and name != "schedule-dead-letters":
            return shared
    return name
