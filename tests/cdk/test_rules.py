"""Rules that every resource of both stages keeps: loops over what is there, never counts of it."""

import json
import re
from typing import Any

import pytest
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from cdk.app import build
from cdk.compute import NETWORK_ACTIONS, TRACING_ACTIONS
from cdk.settings import STAGES, from_context
from functions.inventory import ROOT, load_functions
from local.cloud import OPEN_ROUTES
from tests.cdk.conftest import Synthesized, synthesize

FUNCTION, LOGS, QUEUE, ALARM, ROUTE = (
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::CloudWatch::Alarm",
    "AWS::ApiGatewayV2::Route",
)
# What may stand with `*`, because IAM knows no resource for it. CDK's provider of triggers invokes any version of its function.
UNBOUND = {*NETWORK_ACTIONS, *TRACING_ACTIONS, "cloudwatch:DescribeAlarms"}


def ours(stage: Synthesized) -> dict[str, dict[str, Any]]:
    """Our functions; the one that CDK brings for triggers is in no network of ours."""
    return {name: f["Properties"] for name, f in stage.resources(FUNCTION).items() if "VpcConfig" in f["Properties"]}


def service_names(stage: Synthesized) -> set[str]:
    return {function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for function in ours(stage).values()}


def test_every_folder_is_deployed_where_it_belongs(dev: Synthesized, prod: Synthesized) -> None:
    assert service_names(dev) == {function.name for function in load_functions()}
    assert service_names(prod) == {function.name for function in load_functions() if "prod" in function.stages}


def test_production_has_no_seeding(prod: Synthesized) -> None:
    assert prod.resources(QUEUE, "AWS::Lambda::EventSourceMapping") == {}
    assert not re.search(r"seed", json.dumps(prod.stacks), re.IGNORECASE)


def test_every_function_has_a_log_group_a_timeout_tracing_and_bytecode_layers(stage: Synthesized) -> None:
    timeouts = {function.name: function.timeout_seconds for function in load_functions()}
    for name, function in ours(stage).items():
        assert function["LoggingConfig"]["LogFormat"] == "JSON", name
        assert "LogGroup" in function["LoggingConfig"], name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Timeout"] == timeouts[function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]], name
        assert len(function["Layers"]) == 2, name
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"]), name


def test_every_function_gets_the_variables_that_it_asks_for(stage: Synthesized) -> None:
    asked = {function.name: set(function.environment) for function in load_functions()}
    for function in ours(stage).values():
        variables = function["Environment"]["Variables"]
        assert variables.keys() >= asked[variables["POWERTOOLS_SERVICE_NAME"]]


def test_every_log_group_forgets(stage: Synthesized) -> None:
    groups = stage.resources(LOGS)
    assert groups
    for name, group in groups.items():
        assert group["Properties"]["RetentionInDays"] in (14, 90), name


def test_every_function_has_a_role_of_its_own_with_its_own_database_user_only(stage: Synthesized) -> None:
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
        expected = ["postgres"] if name == "migrate_database" else [users[name]]
        assert [re.findall(r"/(\w+)\"", resource)[0] for resource in connect] == expected, name


def test_no_policy_allows_any_action_and_none_any_resource_but_where_iam_knows_none(stage: Synthesized) -> None:
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


def test_no_managed_policy_is_used_but_by_cdks_own_providers_and_aws_backup(stage: Synthesized) -> None:
    for name, role in stage.resources("AWS::IAM::Role").items():
        if not re.search(r"CustomResourceProvider|BackupsRole", name):
            assert not role["Properties"].get("ManagedPolicyArns"), name


def test_every_queue_is_encrypted_and_has_a_dead_letter_queue_with_an_alarm(dev: Synthesized) -> None:
    queues = dev.resources(QUEUE)
    watched = json.dumps(dev.resources(ALARM))
    dead = {
        json.dumps(q["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0])
        for q in queues.values()
        if "RedrivePolicy" in q["Properties"]
    }
    assert dead
    for name, queue in queues.items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True, name
        assert name.partition("/")[2] in watched, name
        if json.dumps(name.partition("/")[2]) not in dead:
            assert "RedrivePolicy" in queue["Properties"], name


def test_the_queue_hides_a_message_for_six_times_the_workers_timeout(dev: Synthesized) -> None:
    [worker] = [function for function in load_functions() if function.trigger == "queue"]
    [queue] = [q["Properties"] for q in dev.resources(QUEUE).values() if "RedrivePolicy" in q["Properties"]]
    assert queue["VisibilityTimeout"] == 6 * worker.timeout_seconds
    assert worker.queue is not None
    assert queue["RedrivePolicy"]["maxReceiveCount"] == worker.queue.max_receives
    [mapping] = [m["Properties"] for m in dev.resources("AWS::Lambda::EventSourceMapping").values()]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == worker.queue.batch_size


def test_every_alarm_has_an_action_a_sentence_a_runbook_section_and_says_what_silence_means(stage: Synthesized) -> None:
    sections = {_anchor(line) for line in (ROOT / "docs" / "operations.md").read_text().splitlines() if line.startswith("#")}
    alarms = stage.resources(ALARM)
    assert alarms
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        assert properties["AlarmActions"], name
        assert properties["OKActions"], name
        assert properties["TreatMissingData"] in ("breaching", "notBreaching"), name
        sentence, _, link = properties["AlarmDescription"].partition(" What to do: ")
        assert sentence.endswith("."), name
        assert link.partition("#")[2] in sections, name


ASKED_FOR = {
    "server-errors", "latency-p95", "latency-p99", "database-cpu", "database-connections", "database-storage",
    "proxy-connections", "proxy-pinned", "totals-drift", "audit-missing", "audit-lag",
}  # fmt: skip


def test_every_alarm_that_users_asked_for_is_there(dev: Synthesized, prod: Synthesized) -> None:
    def names(stage: Synthesized, label: str) -> set[str]:
        return {alarm["Properties"]["AlarmName"].removeprefix(f"orders-{label}-") for alarm in stage.resources(ALARM).values()}

    assert names(prod, "prod") >= ASKED_FOR
    assert names(dev, "dev") >= ASKED_FOR | {"queue-backlog", "queue-age", "dead-letters"}
    for label, stage in (("dev", dev), ("prod", prod)):
        for function in load_functions():
            if label in function.stages and function.trigger != "deploy":
                own = function.name.replace("_", "-")
                assert {f"{own}-errors", f"{own}-throttles"} <= names(stage, label)


def alarm(stage: Synthesized, name: str) -> dict[str, Any]:
    [found] = [a["Properties"] for a in stage.resources(ALARM).values() if a["Properties"]["AlarmName"].endswith(f"-{name}")]
    properties: dict[str, Any] = found
    return properties


def test_the_error_rate_is_a_ratio_of_two_counts(stage: Synthesized) -> None:
    rate = alarm(stage, "server-errors")
    assert (rate["Threshold"], rate["ComparisonOperator"]) == (1, "GreaterThanThreshold")
    metrics = {metric["Id"]: metric for metric in rate["Metrics"]}
    [expression] = [metric["Expression"] for metric in metrics.values() if "Expression" in metric]
    assert expression == "100 * FILL(errors, 0) / requests"
    assert metrics["errors"]["MetricStat"]["Stat"] == "Sum"
    assert metrics["requests"]["MetricStat"]["Stat"] == "SampleCount"


def test_every_threshold_can_be_reached_by_its_metric(stage: Synthesized) -> None:
    instance = next(iter(stage.resources("AWS::RDS::DBInstance").values()))["Properties"]
    parameters = next(iter(stage.resources("AWS::RDS::DBParameterGroup").values()))["Properties"]["Parameters"]
    group = next(iter(stage.resources("AWS::RDS::DBProxyTargetGroup").values()))["Properties"]
    connections = int(parameters["max_connections"])
    assert alarm(stage, "database-connections")["Threshold"] < connections
    assert alarm(stage, "database-connections")["Statistic"] == "Maximum"
    share = group["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"]
    assert alarm(stage, "proxy-connections")["Threshold"] < connections * share / 100
    assert alarm(stage, "database-storage")["Threshold"] < int(instance["AllocatedStorage"]) * 2**30
    assert alarm(stage, "database-cpu")["Threshold"] == 80
    assert alarm(stage, "latency-p95")["Threshold"] == alarm(stage, "latency-p99")["Threshold"] == 500


def test_alarms_can_reach_their_topic(stage: Synthesized) -> None:
    [policy] = stage.resources("AWS::SNS::TopicPolicy").values()
    allowed = [s["Principal"] for s in policy["Properties"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert {"Service": "cloudwatch.amazonaws.com"} in allowed


def test_every_route_has_a_twin_and_either_scopes_or_a_place_on_the_open_list(stage: Synthesized) -> None:
    routes = {route["Properties"]["RouteKey"]: route["Properties"] for route in stage.resources(ROUTE).values()}
    expected = {f"{route.method} {route.path}": route for f in load_functions() for route in f.routes}
    assert routes.keys() <= expected.keys() | {f"{key}/{{proxy+}}" for key in expected}
    for key, route in routes.items():
        plain = key.removesuffix("/{proxy+}")
        assert {plain, f"{plain}/{{proxy+}}"} <= routes.keys(), key
        if expected[plain].path in OPEN_ROUTES:
            assert route["AuthorizationType"] == "NONE", key
        else:
            assert route["AuthorizationType"] == "JWT", key
            assert tuple(route["AuthorizationScopes"]) == expected[plain].scopes != (), key


def test_the_database_is_private_encrypted_and_reached_by_tls_and_iam_only(stage: Synthesized) -> None:
    [instance] = [resource["Properties"] for resource in stage.resources("AWS::RDS::DBInstance").values()]
    assert instance["PubliclyAccessible"] is False
    assert instance["StorageEncrypted"] is True
    assert instance["EnableIAMDatabaseAuthentication"] is True
    [parameters] = [resource["Properties"]["Parameters"] for resource in stage.resources("AWS::RDS::DBParameterGroup").values()]
    assert parameters["rds.force_ssl"] == "1"
    [proxy] = [resource["Properties"] for resource in stage.resources("AWS::RDS::DBProxy").values()]
    assert proxy["RequireTLS"] is True
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert not proxy.get("Auth")


def test_nothing_of_ours_is_open_to_the_world_and_nothing_gets_out(stage: Synthesized) -> None:
    for name, group in stage.resources("AWS::EC2::SecurityGroup").items():
        rules = group["Properties"].get("SecurityGroupIngress", []) + group["Properties"].get("SecurityGroupEgress", [])
        assert not [rule for rule in rules if rule.get("CidrIp") == "0.0.0.0/0"], name
    assert stage.resources("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway") == {}


def test_production_is_protected_against_losing_data(prod: Synthesized, dev: Synthesized) -> None:
    [instance] = prod.resources("AWS::RDS::DBInstance").values()
    properties = instance["Properties"]
    assert (properties["DeletionProtection"], properties["MultiAZ"], properties["DeleteAutomatedBackups"]) == (
        True,
        True,
        False,
    )
    assert properties["BackupRetentionPeriod"] >= 14
    assert instance["DeletionPolicy"] == "Retain"
    [in_dev] = dev.resources("AWS::RDS::DBInstance").values()
    assert in_dev["DeletionPolicy"] == "Delete"
    assert all(child.termination_protection for child in prod.app.node.children if hasattr(child, "termination_protection"))


def test_production_shifts_traffic_in_steps_and_back_on_an_alarm(prod: Synthesized, dev: Synthesized) -> None:
    groups = prod.resources("AWS::CodeDeploy::DeploymentGroup")
    assert groups
    for name, group in groups.items():
        properties = group["Properties"]
        assert properties["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes", name
        assert properties["AlarmConfiguration"]["Alarms"], name
        assert len(properties["AlarmConfiguration"]["Alarms"]) <= 10, name
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"], name
    for group in dev.resources("AWS::CodeDeploy::DeploymentGroup").values():
        assert group["Properties"]["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"


def test_the_migration_runs_before_every_other_function(stage: Synthesized) -> None:
    [trigger] = [name for name, resource in stage.resources().items() if resource["Type"] == "Custom::Trigger"]
    for name, function in stage.resources(FUNCTION).items():
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        if variables.get("POWERTOOLS_SERVICE_NAME", "migrate_database") != "migrate_database":
            assert trigger.partition("/")[2] in function["DependsOn"], name


def test_a_red_deployment_can_be_mended_at_once() -> None:
    mended = synthesize("prod", all_at_once="true")
    for group in mended.resources("AWS::CodeDeploy::DeploymentGroup").values():
        assert group["Properties"]["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
        assert "DEPLOYMENT_STOP_ON_ALARM" not in group["Properties"]["AutoRollbackConfiguration"]["Events"]


def test_an_external_issuer_takes_the_place_of_the_user_pool() -> None:
    external = synthesize("prod", jwt_issuer="https://issuer.example.com", jwt_audience="orders")
    assert external.resources("AWS::Cognito::UserPool") == {}
    [authorizer] = external.resources("AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["Properties"]["JwtConfiguration"] == {"Audience": ["orders"], "Issuer": "https://issuer.example.com"}


def test_stacks_stay_below_cloudformations_limits(stage: Synthesized) -> None:
    for name, resources in stage.stacks.items():
        assert len(resources) < 500, name
        assert len(json.dumps(resources)) < 1_000_000, name


def test_cdk_nag_finds_nothing_that_has_no_reason(prod: Synthesized) -> None:
    report = AwsSolutionsChecks().validate_scope(prod.app)
    findings = [f"{v.rule_name} {[r.construct_path for r in v.violating_resources]}" for v in report.violations]
    assert report.success, "\n".join(findings)


@pytest.mark.parametrize(
    "context",
    [
        {"stage": "staging"},
        {"jwt_issuer": "https://x"},
        {"jwt_audience": "x"},
        {"postgres": "14"},
        {"postgres": "18.1"},
        {"restored": "orders-prod-2"},
        {"stage": "prod", "backup_region": "none"},
        {"seed_max_unfinished_rows": "many"},
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(context: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"stage|issuer|PostgreSQL|restored|region|seed_max_unfinished_rows"):
        from_context(context)


def test_an_operator_chooses_how_many_rows_may_wait(dev: Synthesized) -> None:
    for stage, rows in ((dev, "50000000"), (synthesize("dev", seed_max_unfinished_rows="1000"), "1000")):
        variables = [function["Environment"]["Variables"] for function in ours(stage).values()]
        assert [v["SEED_MAX_UNFINISHED_ROWS"] for v in variables if "SEED_MAX_UNFINISHED_ROWS" in v] == [rows]


def test_only_an_environment_of_the_repository_may_deploy_and_only_through_the_bootstrap_roles() -> None:
    app = build({"aws:cdk:bundling-stacks": [], "github": "owner/repository"})
    resources = Template.from_stack(app.node.find_child("OrdersCi")).to_json()["Resources"]  # type: ignore[arg-type]
    roles = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::IAM::Role"]
    subjects = []
    for role in roles:
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        subjects.append(statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"])
    assert subjects == ["repo:owner/repository:environment:dev", "repo:owner/repository:environment:prod"]
    policies = [r["Properties"]["PolicyDocument"]["Statement"] for r in resources.values() if r["Type"] == "AWS::IAM::Policy"]
    looking = ["rds:DescribeDBEngineVersions", "rds:DescribeOrderableDBInstanceOptions"]
    assert [[statement["Action"] for statement in statements] for statements in policies] == [["sts:AssumeRole", looking]] * 2


def test_actions_of_the_workflows_are_pinned_by_hash() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (\S+)", workflow.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action


def test_both_stages_leave_connections_to_people() -> None:
    for settings in STAGES.values():
        assert settings.proxy_connections < settings.max_connections - 10


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")
