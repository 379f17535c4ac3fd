"""Rules that every resource of both stages obeys: loops over what exists, never counts."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from cdk.app import build
from cdk.compute import NETWORK_ACTIONS, TRACING_ACTIONS
from cdk.delivery import AT_ONCE
from cdk.exports import ABORT_DAYS, KEEP_DAYS, READ_ACTIONS, WRITE_ACTIONS
from cdk.nag import BY_BUCKET, BY_CLUSTER, BY_REFERENCE, REASONS
from cdk.settings import STAGES, from_context
from contract.edge import CLI_CALLBACK, LAPTOP_ONLY
from contract.functions import FUNCTIONS, OPEN_ROUTES, ROOT, camel_case, load_functions
from tests.cdk.conftest import CLUSTER, EVERY_CHOICE, EXTERNAL, INSTANCE, Synthesized, one_of_each, synthesize, synthesize_few
from tests.cdk.test_database import exports

FUNCTION, LOGS, QUEUE, ALARM, ROUTE, GROUP, INVOKE, AREA = (
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::CloudWatch::Alarm",
    "AWS::ApiGatewayV2::Route",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::CloudFormation::Stack",
)
# Actions that may use `*`, as IAM knows no resource for them. CDK's trigger provider invokes any version of its function.
# It is not documented which version of a function CodeDeploy reads; AWS's own policy lets it read any.
UNBOUND = {*NETWORK_ACTIONS, *TRACING_ACTIONS, "cloudwatch:DescribeAlarms", "lambda:GetProvisionedConcurrencyConfig"}


def ours(stage: Synthesized) -> dict[str, dict[str, Any]]:
    """Our functions; CDK's own one for triggers has no layer of ours."""
    return {name: f["Properties"] for name, f in stage.resources(FUNCTION).items() if "Layers" in f["Properties"]}


def service_names(stage: Synthesized) -> set[str]:
    return {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for function in ours(stage).values()}


def test_every_folder_is_deployed_where_it_belongs(dev: Synthesized, prod: Synthesized) -> None:
    assert service_names(dev) == {function.name for function in load_functions()}
    assert service_names(prod) == {function.name for function in load_functions() if "prod" in function.stages}


def test_production_has_no_seeding(prod: Synthesized) -> None:
    assert not re.search(r"seed", json.dumps(prod.stacks), re.IGNORECASE)


def test_every_function_has_a_log_group_a_timeout_tracing_and_bytecode_layers(stage: Synthesized) -> None:
    timeouts = {function.name: function.timeout_seconds for function in load_functions()}
    layers = {function.name: len(function.layers) for function in load_functions()}
    for name, function in ours(stage).items():
        assert function["LoggingConfig"]["LogFormat"] == "JSON", name
        assert "LogGroup" in function["LoggingConfig"], name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        own = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        assert function["Timeout"] == timeouts[own], name
        assert len(function["Layers"]) == 2 + layers[own], name
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"]), name


def test_every_function_gets_the_variables_that_it_requests(stage: Synthesized) -> None:
    asked = {function.name: set(function.environment) for function in load_functions()}
    for function in ours(stage).values():
        variables = function["Environment"]["Variables"]
        assert variables.keys() >= asked[variables["POWERTOOLS_SERVICE_NAME"]] - LAPTOP_ONLY
        assert not variables.keys() & LAPTOP_ONLY


def test_every_log_group_has_a_retention_period(stage: Synthesized) -> None:
    groups = stage.resources(LOGS)
    assert groups
    for name, group in groups.items():
        assert group["Properties"]["RetentionInDays"] in (14, 90), name


def test_every_function_has_its_own_role_for_its_own_database_user(stage: Synthesized) -> None:
    roles = [json.dumps(function["Role"]) for function in ours(stage).values()]
    assert len(set(roles)) == len(roles)
    users = {function.name: function.database_user for function in load_functions()}
    for function in ours(stage).values():
        name = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        connect = [
            json.dumps(statement["Resource"])
            for policy in stage.resources("AWS::IAM::Policy").values()
            if function["Role"]["Fn::GetAtt"][0] in json.dumps(policy["Properties"]["Roles"])
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Action"] == "rds-db:connect"
        ]
        expected = ["postgres"] if name == "migrate_database" else [users[name]] if users[name] else []
        assert [re.findall(r"/(\w+)\"", resource)[0] for resource in connect] == expected, name


def test_no_policy_allows_every_action_or_a_resource_wildcard_where_iam_knows_resources(stage: Synthesized) -> None:
    for name, policy in stage.resources("AWS::IAM::Policy", "AWS::IAM::Role").items():
        properties = policy["Properties"]
        documents = (
            [properties["PolicyDocument"]]
            if "PolicyDocument" in properties
            else [p["PolicyDocument"] for p in properties.get("Policies", [])]
        )
        for statement in [statement for document in documents for statement in document["Statement"]]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if action == "*" or action.endswith(":*")], name
            if statement["Resource"] == "*":
                assert set(actions) <= UNBOUND, name


def test_only_cdks_own_providers_and_aws_backup_use_managed_policies(stage: Synthesized) -> None:
    for name, role in stage.resources("AWS::IAM::Role").items():
        if not re.search(r"CustomResourceProvider|BackupsRole", name):
            assert not role["Properties"].get("ManagedPolicyArns"), name


def test_every_queue_is_encrypted_and_has_a_dead_letter_queue_with_an_alarm(stage: Synthesized) -> None:
    queues = stage.resources(QUEUE)
    watched = json.dumps(stage.resources(ALARM))
    redrives = [
        q["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] for q in queues.values() if "RedrivePolicy" in q["Properties"]
    ]
    invokes = [i["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] for i in stage.resources(INVOKE).values()]
    dead = {target["Fn::GetAtt"][0] for target in redrives + invokes}
    assert queues
    for name, queue in queues.items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True, name
        # By name in the same stack, or by export.
        assert name.partition("/")[2] in watched, name
        assert "RedrivePolicy" in queue["Properties"] or name.partition("/")[2] in dead, name


# What an erasure removes elsewhere: names, addresses, what a receiver answered. The others' messages have ids and counts.
PERSONAL = ("Mail", "MailFeedback", "Webhooks", "WebhookReports")


def test_messages_about_persons_last_a_day(stage: Synthesized) -> None:
    kept = {
        re.sub(r"^Data/|[0-9A-F]{8}$", "", name): queue["Properties"]["MessageRetentionPeriod"]
        for name, queue in stage.resources(QUEUE).items()
    }
    personal = {f"{name}{kind}" for name in PERSONAL for kind in ("Queue", "DeadLetters")}
    assert {name: kept[name] for name in personal} == dict.fromkeys(personal, 24 * 3600)
    assert {kept[name] for name in kept if name.endswith("DeadLetters") and name not in personal} == {14 * 24 * 3600}


def rules_for_functions(stage: Synthesized) -> list[dict[str, Any]]:
    """Without the one that tells people of backups."""
    rules = [rule["Properties"] for rule in stage.resources("AWS::Events::Rule").values()]
    return [rule for rule in rules if rule.get("EventPattern", {}).get("source") != ["aws.backup"]]


def test_a_scheduled_run_is_not_retried_and_never_lost_silently(stage: Synthesized) -> None:
    """Lambda retries a failed function, whatever the rule says; the rule retries what could not be handed to Lambda."""
    scheduled = [f for f in load_functions() if f.schedule is not None]
    rules = rules_for_functions(stage)
    assert len(rules) == len(scheduled) + 1
    assert len(stage.resources(INVOKE)) == len(scheduled)
    [dead_letters] = [name.partition("/")[2] for name in stage.resources(QUEUE) if "SchedulesDeadLetters" in name]
    for target in [target for rule in rules for target in rule["Targets"]]:
        assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0}
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] == dead_letters
        # The alias to which the invoke configuration applies.
        assert target["Arn"]["Ref"] in aliases(stage)
    for invoke in stage.resources(INVOKE).values():
        properties = invoke["Properties"]
        assert properties["MaximumRetryAttempts"] == 0
        assert 60 <= properties["MaximumEventAgeInSeconds"] <= 3600
        assert properties["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] == dead_letters


def test_the_end_of_a_deployment_runs_each_schedule_once(stage: Synthesized) -> None:
    rules = rules_for_functions(stage)
    [rule] = [rule for rule in rules if "EventPattern" in rule]
    assert rule["EventPattern"] == {
        "source": ["aws.cloudformation"],
        "detail-type": ["CloudFormation Stack Status Change"],
        "detail": {"stack-id": [{"Ref": "AWS::StackId"}], "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]}},
    }
    by_the_clock = [rule["Targets"][0] for rule in rules if "EventPattern" not in rule]
    assert sorted(target["Arn"]["Ref"] for target in rule["Targets"]) == sorted(target["Arn"]["Ref"] for target in by_the_clock)


def test_a_stage_only_reads_its_own_metrics(dev: Synthesized, prod: Synthesized) -> None:
    """Two stages can share an account: one's audit must not be mistaken for the other's."""
    for stage, namespace in ((dev, "Orders-dev"), (prod, "Orders-prod")):
        written = {f["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] for f in ours(stage).values()}
        read = {a["Properties"].get("Namespace", "AWS/") for a in stage.resources(ALARM).values()}
        assert written == {namespace}
        assert {name for name in read if not name.startswith("AWS/")} == {namespace}


def test_the_queue_hides_a_message_for_six_times_the_workers_timeout(dev: Synthesized) -> None:
    workers = [function for function in load_functions() if function.queue is not None]
    queues = [q["Properties"] for q in dev.resources(QUEUE).values() if "RedrivePolicy" in q["Properties"]]
    mappings = [m["Properties"] for m in dev.resources("AWS::Lambda::EventSourceMapping").values()]
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings)
    declared = [(w.queue.batch_size, w.queue.max_receives, 6 * w.timeout_seconds) for w in workers if w.queue is not None]
    assert sorted(mapping["BatchSize"] for mapping in mappings) == sorted(size for size, _, _ in declared)
    assert sorted((q["RedrivePolicy"]["maxReceiveCount"], q["VisibilityTimeout"]) for q in queues) == sorted(
        (receives, seconds) for _, receives, seconds in declared
    )


def queues_of(document: Any) -> set[str]:
    return set(
        re.findall(r"(?<=FnGetAtt)\w+Queue(?=[0-9A-F]{8}Arn)|(?<=\")\w+Queue(?=[0-9A-F]{8}\", \"Arn)", json.dumps(document))
    )


@pytest.mark.parametrize("label", ["dev", "prod_with_more"])
def test_only_senders_may_send_and_only_to_their_queues(label: str, request: pytest.FixtureRequest) -> None:
    """In production with every worker as well: through an endpoint in its network, which lets nothing else pass."""
    stage: Synthesized = request.getfixturevalue(label)
    everywhere = stage.functions
    queues = {f"{camel_case(f.queue.name)}Queue": f.queue.name for f in everywhere if f.queue is not None}
    [endpoint] = [e["Properties"] for e in stage.resources("AWS::EC2::VPCEndpoint").values() if "sqs" in json.dumps(e)]
    [statement] = endpoint["PolicyDocument"]["Statement"]
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
    assert queues_of(statement["Resource"]) == queues.keys()
    for function in ours(stage).values():
        variables, role = function["Environment"]["Variables"], function["Role"]["Fn::GetAtt"][0]
        [declared] = [f for f in everywhere if f.name == variables["POWERTOOLS_SERVICE_NAME"]]
        allowed = [
            statement["Resource"]
            for policy in stage.resources("AWS::IAM::Policy").values()
            if role in json.dumps(policy["Properties"]["Roles"])
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if "sqs:SendMessage" in statement["Action"]
        ]
        assert queues_of(allowed) == {queue for queue, name in queues.items() if declared.may_send_to(name)}


def test_every_alarm_has_an_action_a_sentence_a_runbook_section_and_treats_missing_data(stage: Synthesized) -> None:
    sections = {_anchor(line) for line in (ROOT / "docs" / "operations.md").read_text().splitlines() if line.startswith("#")}
    alarms = stage.resources(ALARM)
    assert alarms
    only_for_codedeploy = {
        alarm
        for group in stage.resources(GROUP).values()
        for alarm in alarms_of(group)
        if "-release" in stage.resource(alarm)["Properties"]["AlarmName"]
    }
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        if name.partition("/")[2] not in only_for_codedeploy:
            assert properties["AlarmActions"], name
            assert properties["OKActions"], name
        assert properties["TreatMissingData"] in ("breaching", "notBreaching"), name
        sentence, _, link = properties["AlarmDescription"].partition(" What to do: ")
        assert sentence.endswith("."), name
        section, what = link.partition("#")[2], properties["AlarmName"].split("-", 2)[2]
        assert section in sections, name
        assert section == what or what not in sections, f"{what} has a section of its own"


OF_THE_DATABASE = {
    False: {"database-storage"},
    True: {"database-capacity", "database-replica-lag", "database-deadlocks", "database-volume"},
}
ASKED_FOR = {
    "server-errors", "client-errors", "health", "latency-p95", "latency-p99", "database-cpu", "database-connections",
    "proxy-connections", "proxy-pinned", "totals-drift", "audit-missing", "audit-lag",
    "schedule-dead-letters", "outbox-lag", "outbox-unsent", "export-failed", "webhooks-failing", "webhooks-disabled",
}  # fmt: skip


def test_every_alarm_that_users_asked_for_exists(stage: Synthesized) -> None:
    [label] = {f["Environment"]["Variables"]["STAGE"] for f in ours(stage).values()}
    names = {a["Properties"]["AlarmName"].removeprefix(f"orders-{label}-") for a in stage.resources(ALARM).values()}
    assert names >= ASKED_FOR | OF_THE_DATABASE[stage.aurora]
    assert not names & OF_THE_DATABASE[not stage.aurora]
    for function in load_functions():
        if label in function.stages:
            own = function.name.replace("_", "-")
            assert {f"{own}-errors", f"{own}-throttles"} <= names
            if function.queue is not None:
                assert {f"{function.queue.name}-{what}" for what in ("backlog", "age", "dead-letters")} <= names


def alarm(stage: Synthesized, name: str) -> dict[str, Any]:
    [found] = [a["Properties"] for a in stage.resources(ALARM).values() if a["Properties"]["AlarmName"].endswith(f"-{name}")]
    properties: dict[str, Any] = found
    return properties


@pytest.mark.parametrize(
    ("name", "metric", "formula", "percent"),
    [
        ("server-errors", "5xx", "100 * FILL(errors, 0) / requests", 1),
        ("client-errors", "4xx", "IF(requests >= 20, 100 * FILL(errors, 0) / requests)", 50),
    ],
)
def test_an_error_rate_is_a_ratio_of_two_counts(stage: Synthesized, name: str, metric: str, formula: str, percent: int) -> None:
    rate = alarm(stage, name)
    assert (rate["Threshold"], rate["ComparisonOperator"]) == (percent, "GreaterThanThreshold")
    metrics = {metric["Id"]: metric for metric in rate["Metrics"]}
    [expression] = [metric["Expression"] for metric in metrics.values() if "Expression" in metric]
    assert expression == formula
    assert metrics["errors"]["MetricStat"]["Metric"]["MetricName"] == metric
    assert metrics["errors"]["MetricStat"]["Stat"] == "Sum"
    assert metrics["requests"]["MetricStat"]["Stat"] == "SampleCount"


@pytest.mark.parametrize(("percentile", "requests"), [("p95", 20), ("p99", 100)])
def test_a_percentile_needs_enough_requests_to_exclude_the_slowest(stage: Synthesized, percentile: str, requests: int) -> None:
    [expression] = [m["Expression"] for m in alarm(stage, f"latency-{percentile}")["Metrics"] if "Expression" in m]
    assert expression == f"IF(requests >= {requests}, latency)"


def test_the_proxys_counts_are_sums_over_its_nodes(stage: Synthesized) -> None:
    for name in ("proxy-connections", "proxy-pinned"):
        assert alarm(stage, name)["Statistic"] == "Sum", name
    [board] = stage.resources("AWS::CloudWatch::Dashboard").values()
    body = "".join(part for part in board["Properties"]["DashboardBody"]["Fn::Join"][1] if isinstance(part, str))
    for metric in ("ClientConnections", "DatabaseConnectionsCurrentlySessionPinned"):
        [options] = re.findall(rf'"{metric}"[^{{]*(\{{[^}}]*\}})', body)
        assert json.loads(options).get("stat") == "Sum", metric


def test_a_function_without_clients_alarms_on_its_first_error(stage: Synthesized) -> None:
    """No client sees it fail and retries. Its runs are further apart than any window of several data points."""
    deployed = service_names(stage)
    for function in load_functions():
        if function.name in deployed:
            errors = alarm(stage, f"{function.name.replace('_', '-')}-errors")
            points = (errors["DatapointsToAlarm"], errors["EvaluationPeriods"])
            dimensions = {dimension["Name"] for dimension in errors["Dimensions"]}
            if function.trigger == "http":
                assert (points, dimensions) == ((2, 5), {"FunctionName", "Resource"}), function.name
            else:
                # Deployments invoke these by version, not by alias.
                assert (points, dimensions) == ((1, 1), {"FunctionName"}), function.name


def test_every_threshold_can_be_reached_by_its_metric(stage: Synthesized) -> None:
    _, database = stage.database()
    group = next(iter(stage.resources("AWS::RDS::DBProxyTargetGroup").values()))["Properties"]
    connections = int(stage.database_parameters()["max_connections"])
    assert alarm(stage, "database-connections")["Threshold"] < connections
    assert alarm(stage, "database-connections")["Statistic"] == "Maximum"
    share = group["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"]
    assert alarm(stage, "proxy-connections")["Threshold"] < connections * share / 100
    if stage.aurora:
        # Aurora's storage grows without limit, so the alarm is about what RDS would have refused.
        assert alarm(stage, "database-volume")["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm(stage, "database-capacity")["Threshold"] == 90
    else:
        # RDS adds storage when a tenth is left: the alarm tells that it has failed to.
        assert alarm(stage, "database-storage")["Threshold"] == int(database["AllocatedStorage"]) * 2**30 * 7 // 100
    assert alarm(stage, "database-cpu")["Threshold"] == 80
    assert alarm(stage, "latency-p95")["Threshold"] == alarm(stage, "latency-p99")["Threshold"] == 500


def test_the_dashboard_shows_every_alarm_in_widgets_that_cloudwatch_accepts(stage: Synthesized) -> None:
    [board] = stage.resources("AWS::CloudWatch::Dashboard").values()
    # In another region the stage's dashboard must be another one.
    assert {"Ref": "AWS::Region"} in board["Properties"]["DashboardName"]["Fn::Join"][1]
    parts = board["Properties"]["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts))
    shown = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert max(map(len, shown)) <= 100
    assert len({alarm for alarms in shown for alarm in alarms}) == len(stage.resources(ALARM))


def test_alarms_can_reach_their_topic(stage: Synthesized) -> None:
    [policy] = [policy for name, policy in stage.resources("AWS::SNS::TopicPolicy").items() if name.startswith("Api/")]
    allowed = [s["Principal"] for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {"Service": "cloudwatch.amazonaws.com"} in allowed


def twins(keys: Iterable[str]) -> set[str]:
    """Of the routes that have one: the root has no other spelling."""
    return {f"{key}/{{proxy+}}" for key in keys if not key.endswith("/")}


def test_every_route_has_a_twin_and_either_scopes_or_an_entry_in_the_open_list(stage: Synthesized) -> None:
    routes = {route["Properties"]["RouteKey"]: route["Properties"] for route in stage.resources(ROUTE).values()}
    expected = {route.key: route for f in load_functions() for route in f.routes}
    assert routes.keys() <= expected.keys() | twins(expected)
    for key, route in routes.items():
        plain = key.removesuffix("/{proxy+}")
        assert {plain} | twins([plain]) <= routes.keys(), key
        if plain in OPEN_ROUTES:
            assert route["AuthorizationType"] == "NONE", key
        else:
            assert route["AuthorizationType"] == "JWT", key
            assert tuple(route["AuthorizationScopes"]) == expected[plain].scopes != (), key


def test_a_place_in_the_path_has_one_name() -> None:
    """API Gateway creates no route that "has a conflicting variable on the same hierarchical level" as another."""
    names: dict[tuple[str, str], set[str]] = {}
    for route in (route for function in load_functions() for route in function.routes):
        before, *segments = route.path.split("/")
        for segment in segments:
            if segment.startswith("{"):
                names.setdefault((route.method, before), set()).add(segment)
            before += f"/{segment}"
    assert {place: found for place, found in names.items() if len(found) > 1} == {}


def test_an_open_route_and_its_twin_have_their_own_throttle(stage: Synthesized) -> None:
    [api_stage] = stage.resources("AWS::ApiGatewayV2::Stage").values()
    settings = api_stage["Properties"]["RouteSettings"]
    assert settings.keys() == OPEN_ROUTES | twins(OPEN_ROUTES)
    everybody = api_stage["Properties"]["DefaultRouteSettings"]
    for key, throttle in settings.items():
        assert 0 < throttle["ThrottlingRateLimit"] < everybody["ThrottlingRateLimit"], key
        assert 0 < throttle["ThrottlingBurstLimit"] < everybody["ThrottlingBurstLimit"], key
    # API Gateway rejects settings for a route that does not exist yet.
    routes = {
        name.partition("/")[2] for name, route in stage.resources(ROUTE).items() if route["Properties"]["RouteKey"] in settings
    }
    assert routes <= set(api_stage["DependsOn"])


def test_a_function_that_clients_call_does_not_read_from_a_replica(tmp_path: Path) -> None:
    """They expect to read what they have just written; a schedule or a queue does not."""
    (tmp_path / "operations.json").write_text('{"paths": {}}')
    for trigger, fits in (("queue", True), ("schedule", True), ("deploy", False)):
        (tmp_path / trigger).mkdir()
        (tmp_path / trigger / "handler.py").touch()
        (tmp_path / trigger / "function.toml").write_text(f'trigger = "{trigger}"\nreads_replica = true\n')
        if fits:
            assert all(function.reads_replica for function in load_functions(tmp_path, tmp_path / "operations.json"))
        else:
            with pytest.raises(ValueError, match="deploy reads_replica"):
                load_functions(tmp_path, tmp_path / "operations.json")


@pytest.mark.parametrize("trigger", ["schedule", "deploy", "http"])
def test_an_area_has_no_schedule_no_migration_and_no_open_route(tmp_path: Path, trigger: str) -> None:
    """What belongs to these is in the stack around the areas, and would wait for what waits for it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "handler.py").touch()
    (tmp_path / "docs" / "function.toml").write_text(f'trigger = "{trigger}"\narea = "pages"\n')
    paths = {"/api/docs": {"get": {"function": "docs", "scopes": []}}} if trigger == "http" else {}
    (tmp_path / "operations.json").write_text(json.dumps({"paths": paths}))
    with pytest.raises(ValueError, match="docs has an area"):
        load_functions(tmp_path, tmp_path / "operations.json")


def test_a_route_that_is_open_by_mistake_is_refused(tmp_path: Path) -> None:
    """By load_functions, from which both clouds get their routes."""
    (tmp_path / "leak").mkdir()
    (tmp_path / "leak" / "handler.py").touch()
    for path, scopes, fits in (("/api/leak", ["orders/read"], True), ("/api/leak", [], False), ("/api/docs", [], True)):
        operation = {"function": "leak", "scopes": scopes}
        (tmp_path / "operations.json").write_text(json.dumps({"paths": {path: {"get": operation}}}))
        if fits:
            assert [function.name for function in load_functions(tmp_path, tmp_path / "operations.json")] == ["leak"]
        else:
            with pytest.raises(ValueError, match="GET /api/leak has no scopes"):
                load_functions(tmp_path, tmp_path / "operations.json")


def test_every_metric_that_is_billed_is_read(stage: Synthesized) -> None:
    [api_stage] = stage.resources("AWS::ApiGatewayV2::Stage").values()
    assert not api_stage["Properties"]["DefaultRouteSettings"].get("DetailedMetricsEnabled")


def test_the_database_is_private_encrypted_and_only_reachable_by_tls_and_iam(stage: Synthesized) -> None:
    for name, instance in stage.resources(INSTANCE).items():
        assert instance["Properties"]["PubliclyAccessible"] is False, name
    _, database = stage.database()
    assert database["StorageEncrypted"] is True
    assert database["EnableIAMDatabaseAuthentication"] is True
    assert stage.database_parameters()["rds.force_ssl"] == "1"
    [proxy] = [resource["Properties"] for resource in stage.resources("AWS::RDS::DBProxy").values()]
    assert proxy["RequireTLS"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert not proxy.get("Auth")


def test_nothing_of_ours_is_open_to_the_world_and_nothing_gets_out(stage: Synthesized) -> None:
    for name, group in stage.resources("AWS::EC2::SecurityGroup").items():
        rules = group["Properties"].get("SecurityGroupIngress", []) + group["Properties"].get("SecurityGroupEgress", [])
        anywhere = [rule for rule in rules if rule.get("CidrIp") == "0.0.0.0/0"]
        # S3 has no addresses in the network, whose only way to it is a gateway endpoint.
        assert [(rule["FromPort"], rule["ToPort"], rule["Description"]) for rule in anywhere] == (
            [(443, 443, "S3")] if "Exporter" in name else []
        )
    assert not [route for route in stage.resources("AWS::EC2::Route") if route]
    assert stage.resources("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway") == {}


def test_exports_are_private_encrypted_and_only_their_functions_reach_them(stage: Synthesized) -> None:
    [bucket] = [resource["Properties"] for resource in stage.resources("AWS::S3::Bucket").values()]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (KEEP_DAYS, "Enabled")
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": ABORT_DAYS}
    [policy] = [resource["Properties"] for resource in stage.resources("AWS::S3::BucketPolicy").values()]
    [tls] = policy["PolicyDocument"]["Statement"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    allowed = {}
    for function in ours(stage).values():
        for policy in stage.resources("AWS::IAM::Policy").values():
            if function["Role"]["Fn::GetAtt"][0] in json.dumps(policy["Properties"]["Roles"]):
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                    if actions[0].startswith("s3:"):
                        assert json.dumps(statement["Resource"]).endswith('"/*"]]}')
                        allowed[function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]] = sorted(actions)
    assert allowed == {"get_export": READ_ACTIONS, "run_export": sorted(WRITE_ACTIONS)}
    [endpoint] = [
        e["Properties"]
        for e in stage.resources("AWS::EC2::VPCEndpoint").values()
        if e["Properties"]["VpcEndpointType"] == "Gateway"
    ]
    [statement] = endpoint["PolicyDocument"]["Statement"]
    assert sorted(statement["Action"]) == sorted(WRITE_ACTIONS)
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}


def test_a_document_of_an_export_promises_its_file_as_long_as_the_bucket_keeps_it() -> None:
    assert re.search(rf"^DAYS_KEPT = {KEEP_DAYS}$", (FUNCTIONS / "run_export" / "exporting.py").read_text(), re.MULTILINE)


def test_production_is_protected_against_losing_data(
    production: Synthesized, dev: Synthesized, dev_on_aurora: Synthesized
) -> None:
    _, database = production.database()
    assert (database["DeletionProtection"], database["DeleteAutomatedBackups"]) == (True, False)
    assert database["BackupRetentionPeriod"] >= 14
    if not production.aurora:
        assert database["MultiAZ"] is True
    for name, resource in production.resources(CLUSTER, INSTANCE).items():
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name
    for stage in (dev, dev_on_aurora):
        for name, resource in stage.resources(CLUSTER, INSTANCE).items():
            assert resource["DeletionPolicy"] == "Delete", name
    stacks = [child for child in production.app.node.children if hasattr(child, "termination_protection")]
    assert stacks
    assert all(stack.termination_protection for stack in stacks)


def alarms_of(group: dict[str, Any]) -> list[str]:
    """The logical ids of the alarms that roll a deployment back."""
    return [alarm["Name"]["Ref"] for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]]


def test_production_shifts_traffic_in_steps_and_back_on_an_alarm(prod: Synthesized, dev: Synthesized) -> None:
    groups = prod.resources(GROUP)
    assert groups
    for name, group in groups.items():
        properties = group["Properties"]
        assert properties["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent10Minutes", name
        assert properties["AlarmConfiguration"]["Alarms"], name
        assert len(properties["AlarmConfiguration"]["Alarms"]) <= 10, name
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"], name
    for group in dev.resources(GROUP).values():
        assert group["Properties"]["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"


METRIC_DELAY_MINUTES = 3


def test_a_canary_outlasts_every_alarm_that_rolls_it_back(prod: Synthesized) -> None:
    for name, group in prod.resources(GROUP).items():
        canary = int(re.findall(r"(\d+)Minutes", group["Properties"]["DeploymentConfigName"])[0])
        for alarm in alarms_of(group):
            properties = prod.resource(alarm)["Properties"]
            stats = [m["MetricStat"] for m in properties.get("Metrics", []) if "MetricStat" in m] or [properties]
            minutes = properties["EvaluationPeriods"] * max(stat["Period"] for stat in stats) / 60
            assert minutes + METRIC_DELAY_MINUTES < canary, (name, alarm)


def aliases(stage: Synthesized) -> dict[str, dict[str, Any]]:
    """By logical id."""
    return {name.partition("/")[2]: resource for name, resource in stage.resources("AWS::Lambda::Alias").items()}


def test_the_first_error_of_the_new_version_rolls_a_deployment_back(prod: Synthesized) -> None:
    """A tenth of one function's requests is less than one per cent of all requests, so no overall rate would notice it."""
    checked = 0
    for alias in aliases(prod).values():
        if "UpdatePolicy" not in alias:
            continue
        group = prod.resource(alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"])
        own = [prod.resource(alarm)["Properties"] for alarm in alarms_of(group)]
        [release] = [alarm for alarm in own if alarm["AlarmName"].endswith("-release")]
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in release["Dimensions"]}
        function = alias["Properties"]["FunctionName"]
        assert dimensions == {
            "FunctionName": function,
            "Resource": {"Fn::Join": ["", [function, ":live"]]},
            # Exactly the version to which the alias is about to point.
            "ExecutedVersion": alias["Properties"]["FunctionVersion"],
        }
        assert (release["Namespace"], release["MetricName"], release["Statistic"]) == ("AWS/Lambda", "Errors", "Sum")
        assert (release["Threshold"], release["DatapointsToAlarm"], release["EvaluationPeriods"]) == (0, 1, 1)
        checked += 1
    assert checked == len(prod.resources(GROUP))


def waves_of(resources: dict[str, Any]) -> list[set[str]]:
    """A stack's aliases, by logical id, in the order of their deployments."""
    waiting = {name: set(r.get("DependsOn", [])) for name, r in resources.items() if "UpdatePolicy" in r}
    waves = []
    while waiting:
        wave = {name for name, others in waiting.items() if not others & waiting.keys()}
        assert wave, "The aliases wait for each other"
        waves.append(wave)
        waiting = {name: others for name, others in waiting.items() if name not in wave}
    return waves


def test_deployments_run_in_waves_of_five(stage: Synthesized) -> None:
    """CodeDeploy starts when CloudFormation updates an alias, so aliases that wait for nothing else are deployed at once."""
    for name in [name for name, resources in stage.stacks.items() if waves_of(resources)]:
        waves = waves_of(stage.stacks[name])
        assert max(len(wave) for wave in waves) <= AT_ONCE == 5
        assert all(len(wave) == AT_ONCE for wave in waves[:-1])


def test_areas_are_released_one_after_the_other_and_after_the_functions_around_them(stage: Synthesized) -> None:
    around = stage.stacks["Api"]
    aliases = {name: set(r.get("DependsOn", [])) for name, r in around.items() if "UpdatePolicy" in r}
    # Those that no other function waits for.
    before = aliases.keys() - {name for others in aliases.values() for name in others}
    areas = {name: set(r["DependsOn"]) for name, r in around.items() if r["Type"] == AREA}
    while areas:
        [following] = [name for name, others in areas.items() if not others & areas.keys()]
        assert areas.pop(following) & {*aliases, *before} == before != set()
        before = {following}


def test_no_resources_wait_for_each_other(stage: Synthesized) -> None:
    for name, resources in stage.stacks.items():
        references = {own: references_in(resource) & resources.keys() for own, resource in resources.items()}
        while references:
            free = {own for own, others in references.items() if not others & references.keys()}
            assert free, f"A circle in {name}: {sorted(references)}"
            references = {own: others for own, others in references.items() if own not in free}


def references_in(value: Any) -> set[str]:
    """Logical ids that a resource waits for: Ref, GetAtt, Sub and DependsOn at any depth."""
    if isinstance(value, list):
        return {found for part in value for found in references_in(part)}
    if not isinstance(value, dict):
        return set()
    found = {other for part in value.values() for other in references_in(part)}
    found |= {value["Ref"]} if isinstance(value.get("Ref"), str) else set()
    found |= {value["Fn::GetAtt"][0]} if "Fn::GetAtt" in value else set()
    found |= set(re.findall(r"\$\{(\w+)", json.dumps(value["Fn::Sub"]))) if "Fn::Sub" in value else set()
    depends = value.get("DependsOn", [])
    return found | set([depends] if isinstance(depends, str) else depends)


def test_codedeploy_may_do_what_a_lambda_deployment_needs_and_only_shift_our_aliases(stage: Synthesized) -> None:
    for resources in stage.stacks.values():
        if groups := [r for r in resources.values() if r["Type"] == GROUP]:
            check_codedeploy(resources, len(groups))


def check_codedeploy(resources: dict[str, Any], groups: int) -> None:
    [role] = [
        name
        for name, role in resources.items()
        if "codedeploy.amazonaws.com" in json.dumps(role["Properties"].get("AssumeRolePolicyDocument"))
    ]
    [policy] = [r["Properties"] for r in resources.values() if {"Ref": role} in r["Properties"].get("Roles", [])]
    allowed: dict[str, Any] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
            allowed[action] = statement["Resource"]
    assert allowed.keys() == {
        "lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig", "cloudwatch:DescribeAlarms",
    }  # fmt: skip
    assert len(allowed["lambda:UpdateAlias"]) == 2 * groups


def test_the_migration_runs_before_every_other_function(stage: Synthesized) -> None:
    [trigger] = stage.resources("Custom::Trigger")
    for name, function in stage.resources(FUNCTION).items():
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        if variables.get("POWERTOOLS_SERVICE_NAME", "migrate_database") != "migrate_database":
            waiting = [function] if name.startswith("Api/") else stage.resources(AREA).values()
            assert all(trigger.partition("/")[2] in resource["DependsOn"] for resource in waiting), name


def test_a_deployment_can_ignore_alarms_to_fix_their_cause() -> None:
    forced = synthesize_few("prod", **EVERY_CHOICE)
    for group in forced.resources(GROUP).values():
        assert group["Properties"]["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
        assert "DEPLOYMENT_STOP_ON_ALARM" not in group["Properties"]["AutoRollbackConfiguration"]["Events"]


def test_an_external_issuer_replaces_the_user_pool() -> None:
    external = synthesize_few("prod", **EXTERNAL)
    [authorizer] = external.resources("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["Properties"]["JwtConfiguration"] == {"Audience": ["orders"], "Issuer": "https://issuer.example.com"}


def pages(stage: Synthesized) -> list[dict[str, Any]]:
    """The variables of the functions that serve pages on which people sign in."""
    variables = [function["Environment"]["Variables"] for function in ours(stage).values()]
    return [found for found in variables if "OAUTH_ISSUER" in found]


def test_people_sign_in_at_the_pool_with_a_public_client(stage: Synthesized) -> None:
    clients = stage.resources("AWS::Cognito::UserPoolClient").items()
    [(name, client)] = [(name, found["Properties"]) for name, found in clients if found["Properties"].get("CallbackURLs")]
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert set(client["AllowedOAuthScopes"]) == {
        scope for f in load_functions() if f.name in service_names(stage) for route in f.routes for scope in route.scopes
    }
    [callback, machine], [logout] = client["CallbackURLs"], client["LogoutURLs"]
    assert machine == CLI_CALLBACK
    assert callback["Fn::Join"][1][-1].endswith("/console/signed-in")
    assert logout["Fn::Join"][1][-1].endswith("/")
    [pool] = stage.resources("AWS::Cognito::UserPool").values()
    assert pool["Properties"]["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    [authorizer] = stage.resources("AWS::ApiGatewayV2::Authorizer").values()
    reference = {"Ref": name.partition("/")[2]}
    assert reference in authorizer["Properties"]["JwtConfiguration"]["Audience"]
    assert len(pages(stage)) == 2
    for variables in pages(stage):
        assert variables["OAUTH_CLIENT_ID"] == reference
        assert "amazoncognito.com/oauth2/token" in json.dumps(variables["OAUTH_TOKEN_URL"])


def test_people_can_sign_in_at_an_external_issuer() -> None:
    for context, expected in ((EXTERNAL, ""), (EVERY_CHOICE, "https://issuer.example.com/token")):
        external = synthesize_few("prod", **context)
        assert [variables["OAUTH_TOKEN_URL"] for variables in pages(external)] == [expected] * 2
        assert not [c for c in external.resources("AWS::Cognito::UserPoolClient").values() if "CallbackURLs" in c["Properties"]]


@pytest.mark.parametrize(("name", "choices"), [("dev", EVERY_CHOICE), ("prod", EVERY_CHOICE), ("prod", EXTERNAL)])
def test_no_choice_of_the_operator_changes_what_a_live_data_stack_exports(name: str, choices: dict[str, str]) -> None:
    """It is deployed before the stack that uses its exports, and CloudFormation removes none that is in use."""

    ordinary = exports(synthesize_few(name).templates["Data"])
    assert [exported for exported in ordinary if "IdentityUsers" in exported]
    assert exports(synthesize_few(name, **choices).templates["Data"]) == ordinary


def test_stacks_stay_below_cloudformations_limits(stage: Synthesized) -> None:
    """500 resources, and a megabyte. Whoever comes near gives the functions that are new an area of their own."""
    for name, resources in stage.stacks.items():
        assert len(resources) <= 450, name
        assert len(json.dumps(resources)) < 900_000, name


def test_there_is_room_for_forty_more_functions_in_two_areas(prod_with_more: Synthesized) -> None:
    test_stacks_stay_below_cloudformations_limits(prod_with_more)


@pytest.mark.parametrize("pack", [AwsSolutionsChecks, NIST80053R5Checks])
def test_every_finding_of_cdk_nag_has_a_reason(production: Synthesized, pack: Callable[[], Any]) -> None:
    report = pack().validate_scope(production.app)
    findings = {v.rule_name: [r.construct_path for r in v.violating_resources] for v in report.violations}
    assert findings == {}


def test_every_reason_is_for_a_finding_of_cdk_nag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdk.app.acknowledge", lambda app, *parts: None)
    monkeypatch.setattr("cdk.app.load_functions", one_of_each)
    for database, also in (("rds", {}), ("aurora", BY_CLUSTER)):
        app = build({"stage": "prod", "database": database, "mail_from": "a@shop.example.com", "aws:cdk:bundling-stacks": []})
        # References between stacks have the names that findings have only then.
        app.synth()
        packs = (AwsSolutionsChecks, NIST80053R5Checks)
        found = {violation.rule_name for pack in packs for violation in pack().validate_scope(app).violations}
        assert found >= REASONS.keys() | BY_REFERENCE.keys() | also.keys()
        assert found & BY_BUCKET.keys()


@pytest.mark.parametrize(
    "context",
    [
        {"stage": "staging"},
        {"jwt_issuer": "https://x"},
        {"jwt_audience": "x"},
        {"jwt_console_client": "x"},
        {"jwt_issuer": "https://x", "jwt_audience": "x", "jwt_console_client": "x", "jwt_token_url": "https://x/token"},
        {"postgres": "14"},
        {"postgres": "18.1"},
        {"restored": "orders-prod-2"},
        {"stage": "prod", "backup_region": "none"},
        {"seed_max_unfinished_rows": "many"},
    ],
)
def test_an_invalid_choice_is_refused(context: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"stage|issuer|PostgreSQL|restored|region|seed_max_unfinished_rows"):
        from_context(context)


def test_an_operator_can_limit_unfinished_rows(dev: Synthesized) -> None:
    for stage, rows in ((dev, "50000000"), (synthesize_few("dev", **EVERY_CHOICE), "1000")):
        variables = [function["Environment"]["Variables"] for function in ours(stage).values()]
        assert [v["SEED_MAX_UNFINISHED_ROWS"] for v in variables if "SEED_MAX_UNFINISHED_ROWS" in v] == [rows]


@pytest.fixture(scope="module")
def ci() -> dict[str, dict[str, Any]]:
    template = synthesize_few("dev", github="owner@123/repository@456").folder / "OrdersCi.template.json"
    resources: dict[str, dict[str, Any]] = json.loads(template.read_text())["Resources"]
    return resources


def test_only_main_in_an_environment_of_the_repository_may_deploy(ci: dict[str, dict[str, Any]]) -> None:
    roles = [r["Properties"] for r in ci.values() if r["Type"] == "AWS::IAM::Role"]
    subjects = []
    for role in roles:
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        [claims] = statement["Condition"].values()
        assert statement["Condition"].keys() == {"StringEquals"}
        assert claims["token.actions.githubusercontent.com:ref"] == "refs/heads/main"
        assert claims["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        subjects.append(claims["token.actions.githubusercontent.com:sub"])
    assert subjects == [f"repo:owner@123/repository@456:environment:{name}" for name in ("dev", "prod")]


def test_permission_to_deploy_one_stage_does_not_extend_to_the_other(ci: dict[str, dict[str, Any]]) -> None:
    """CI's roles only assume those of the stage's own bootstrap stack, which the stage's stacks name."""
    policies = [r["Properties"] for r in ci.values() if r["Type"] == "AWS::IAM::Policy"]
    assert len(policies) == len(STAGES) == 2
    for policy in policies:
        statement, asked, looked_at = policy["PolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        assert asked["Action"] == ["rds:DescribeDBEngineVersions", "rds:DescribeOrderableDBInstanceOptions"]
        [role] = policy["Roles"]
        own = [name for name in STAGES if role["Ref"].lower().startswith(name)]
        roles = json.dumps(statement["Resource"])
        assert set(re.findall(r"role/cdk-(\w+)-", roles)) == {f"orders{own[0]}"}
        assert looked_at["Action"] == "cloudformation:ListStackResources"
        assert f":stack/Orders-{own[0]}-Data/*" in json.dumps(looked_at["Resource"])
        # Besides its own region, a stage is only deployed to the region of its backup copies.
        elsewhere = {STAGES[own[0]].backup_region} - {None}
        assert set(re.findall(r"[a-z]{2}-[a-z]+-\d", roles)) == elsewhere


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_a_stages_stacks_are_deployed_by_its_own_bootstrap_stack(name: str) -> None:
    folder = synthesize(name).folder
    manifest = (folder / "manifest.json").read_text()
    assert set(re.findall(r"cdk-(\w+)-(?:deploy|cfn-exec|lookup|file-publishing)-role", manifest)) == {f"orders{name}"}
    assets = "".join(file.read_text() for file in folder.glob("*.assets.json"))
    assert set(re.findall(r"cdk-(\w+)-(?:assets|file-publishing-role)", assets)) == {f"orders{name}"}
    # CloudFormation's limit for a qualifier.
    assert len(f"orders{name}") <= 10


def test_a_session_outlasts_the_job_and_the_job_outlasts_its_canaries(prod: Synthesized, ci: dict[str, dict[str, Any]]) -> None:
    session = min(r["Properties"]["MaxSessionDuration"] for r in ci.values() if r["Type"] == "AWS::IAM::Role")
    workflow = (ROOT / ".github" / "workflows" / "deliver.yml").read_text()
    for name in STAGES:
        job = workflow.partition(f"\n  {name}:\n")[2].partition("\n\n  ")[0]
        [minutes] = map(int, re.findall(r"timeout-minutes: (\d+)", job))
        [seconds] = map(int, re.findall(r"role-duration-seconds: (\d+)", job))
        assert minutes * 60 <= seconds <= session, name
    waves = sum(len(waves_of(resources)) for resources in prod.stacks.values())
    # In addition to the canaries, an hour for the rest: a new database in two zones, its proxy, network interfaces.
    assert minutes >= waves * 10 + 60


def test_a_delivery_repeats_the_choices_that_a_stage_was_deployed_with() -> None:
    """A deployment without them would undo them: a domain, the sender of mails, the engine."""
    workflow = (ROOT / ".github" / "workflows" / "deliver.yml").read_text()
    deployments = re.findall(r"- run: make deploy (.*?)\n      -|- run: make deploy (.*)", workflow, re.DOTALL)
    assert len(deployments) == len(STAGES)
    for step in ("".join(found) for found in deployments):
        assert "$CHOICES" in step
        assert "CHOICES: ${{ vars.CHOICES }}" in step


def test_the_workflows_pin_actions_by_hash() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (\S+)", workflow.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action


def test_both_stages_leave_connections_for_people() -> None:
    for settings in STAGES.values():
        assert settings.proxy_connections < settings.max_connections - 10


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")
