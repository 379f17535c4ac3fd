"""The database in the templates: who logs in how, through which rules, and what an operator's choices change."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
import pytest
from botocore import xform_name

from cdk.compute import NETWORK_ACTIONS
from contract.functions import ROOT
from tests.cdk.conftest import EVERY_CHOICE, INSTANCE, Synthesized, synthesize_few

PROXY, TARGETS = "AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup"
INGRESS, EGRESS = "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"
# What the first edition's Api stack imports from its Data stack, by stage.
FIRST_EDITION = json.loads(Path(__file__).with_name("first_edition_exports.json").read_text())


def exports(template: dict[str, Any]) -> dict[str, Any]:
    return {output["Export"]["Name"]: output["Value"] for output in template["Outputs"].values() if "Export" in output}


def imports(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "Fn::ImportValue" in value:
            yield value["Fn::ImportValue"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from imports(part)


def migration(stage: Synthesized) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The migration's variables, and the statements of its role."""
    [function] = [
        f["Properties"]
        for f in stage.resources("AWS::Lambda::Function").values()
        if f["Properties"].get("Environment", {}).get("Variables", {}).get("POWERTOOLS_SERVICE_NAME") == "migrate_database"
    ]
    role = function["Role"]["Fn::GetAtt"][0]
    policies = [p["Properties"] for p in stage.resources("AWS::IAM::Policy").values()]
    statements = [
        statement
        for policy in policies
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    return function["Environment"]["Variables"], statements


def test_the_master_user_logs_in_by_iam_and_nothing_has_a_password(stage: Synthesized) -> None:
    _, database = stage.database()
    assert database["MasterUserAuthenticationType"] == "iam-db-auth"
    assert not {"ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecret"} & database.keys()
    variables, statements = migration(stage)
    assert variables["DATABASE_USER"] == database["MasterUsername"]
    [connect] = [json.dumps(s["Resource"]) for s in statements if s["Action"] == "rds-db:connect"]
    assert ("DBClusterResourceId" if stage.aurora else "DbiResourceId") in connect
    assert connect.endswith('/postgres"]]}')
    without = re.sub(r'"GenerateSecret": false|rotate[-_]?webhook[-_]?secret', "", json.dumps(stage.stacks["Api"]))
    assert "secret" not in without.lower()


def test_every_rule_between_security_groups_exists_once(stage: Synthesized) -> None:
    """To EC2, two equal rules are one: creating the second fails, or deleting one deletes both."""
    port = json.dumps({"Fn::GetAtt": [stage.database()[0], "Endpoint.Port"]})
    for kind in (INGRESS, EGRESS):
        rules = []
        for resource in stage.resources(kind).values():
            rule = {name: value for name, value in resource["Properties"].items() if name != "Description"}
            rules.append(json.dumps(rule, sort_keys=True).replace(port, "6432"))
        assert rules
        assert sorted(rules) == sorted(set(rules))


def test_the_proxys_target_waits_for_the_rules_that_make_it_reachable(stage: Synthesized) -> None:
    [targets] = stage.resources(TARGETS).values()
    [proxy] = stage.resources(PROXY).values()
    group = proxy["Properties"]["VpcSecurityGroupIds"][0]
    between = [
        name.partition("/")[2]
        for name, rule in stage.resources(INGRESS, EGRESS).items()
        if group in (rule["Properties"].get("SourceSecurityGroupId"), rule["Properties"].get("GroupId"))
    ]
    assert len(between) >= 3
    assert set(between) <= set(targets["DependsOn"])


@pytest.mark.parametrize("stage_name", ["dev", "prod"])
def test_a_stage_of_the_first_edition_can_be_deployed_over(stage_name: str) -> None:
    """CloudFormation refuses to remove an export that another stack imports, and the Data stack is deployed first."""
    after = synthesize_few(stage_name, first_edition="true").templates
    kept = exports(after["Data"])
    for name, value in FIRST_EDITION[stage_name].items():
        assert kept.get(name) == value, name
    [instance] = [r["Properties"] for r in after["Data"]["Resources"].values() if r["Type"] == INSTANCE]
    assert instance["ManageMasterUserPassword"] is True
    assert "MasterUserAuthenticationType" not in instance
    assert not [name for name in imports(after["Api"]) if "Secret" in name]


RESTORED = {"restored": "orders-prod-2,db-ABCDEF0123,orders-prod-2.abc.eu-central-1.rds.amazonaws.com"}


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, Any]]:
    return synthesize_few("prod").templates


@pytest.fixture(scope="module")
def after() -> dict[str, dict[str, Any]]:
    """Production after a restore, as the runbook deploys it."""
    return synthesize_few("prod", **RESTORED).templates


def of_type(template: dict[str, Any], *types: str) -> dict[str, Any]:
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] in types}


def test_a_restored_instance_replaces_the_lost_one(after: dict[str, dict[str, Any]]) -> None:
    """It has a new resource id, so that every permission to log in must change with it, not just the proxy's target."""
    [targets] = of_type(after["Data"], TARGETS).values()
    assert targets["Properties"]["DBInstanceIdentifiers"] == ["orders-prod-2"]
    rights = [
        json.dumps(statement["Resource"])
        for part in ("Data", "Api")
        for policy in of_type(after[part], "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "rds-db:connect" and "Proxy" not in json.dumps(statement["Resource"])
    ]
    assert rights
    assert all("db-ABCDEF0123" in right for right in rights)
    [variables] = [
        f["Properties"]["Environment"]["Variables"]
        for f in of_type(after["Api"], "AWS::Lambda::Function").values()
        if "DATABASE_INSTANCE" in f["Properties"].get("Environment", {}).get("Variables", {})
    ]
    assert variables["DATABASE_HOST"] == "orders-prod-2.abc.eu-central-1.rds.amazonaws.com"
    assert variables["DATABASE_INSTANCE"] == "db-ABCDEF0123"
    alarms = json.dumps(of_type(after["Api"], "AWS::CloudWatch::Alarm"))
    assert '{"Name": "DBInstanceIdentifier", "Value": "orders-prod-2"}' in alarms
    [selection] = of_type(after["Data"], "AWS::Backup::BackupSelection").values()
    assert "orders-prod-2" in json.dumps(selection["Properties"]["BackupSelection"]["Resources"])


def test_a_restore_changes_nothing_else(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    """The lost instance is kept for examination; no rule between groups is created a second time, and no export removed."""
    for kind in (INSTANCE, INGRESS, EGRESS, "AWS::EC2::SecurityGroup", PROXY):
        assert of_type(after["Data"], kind) == of_type(before["Data"], kind), kind
    kept = exports(after["Data"])
    for name in imports(before["Api"]):
        assert kept[name] == exports(before["Data"])[name]


def test_a_restore_runs_the_migration_again(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    """It is what gives the instance's ETags a new generation."""
    [former], [now] = (of_type(template["Api"], "Custom::Trigger").values() for template in (before, after))
    assert former["Properties"]["HandlerArn"] != now["Properties"]["HandlerArn"]


def test_rds_knows_the_restore_command(before: dict[str, dict[str, Any]]) -> None:
    """Each of its options is a parameter of the call in AWS's own model of the API."""
    value = before["Data"]["Outputs"]["RestoreCommand"]["Value"]
    command = "".join(part if isinstance(part, str) else "REFERENCE" for part in value["Fn::Join"][1])
    assert command.startswith("aws rds restore-db-instance-to-point-in-time ")
    model = botocore.session.get_session().get_service_model("rds")
    known = {xform_name(name, "-") for name in model.operation_model("RestoreDBInstanceToPointInTime").input_shape.members}
    options = {option.removeprefix("no-") for option in re.findall(r"--([a-z-]+)", command)}
    assert len(options) > 8
    assert options <= known


def test_a_deployment_accepts_what_the_runbook_prints_about_a_restored_instance() -> None:
    [query] = re.findall(r'--query "(DBInst.+)"', (ROOT / "docs" / "operations.md").read_text())
    instance = {
        "DBInstanceIdentifier": "orders-prod-2",
        "DbiResourceId": "db-ABCDEF0123",
        "Endpoint": {"Address": "orders-prod-2.abc.eu-central-1.rds.amazonaws.com", "Port": 6432},
    }
    assert jmespath.search(query, {"DBInstances": [instance]}) == RESTORED["restored"]


def test_the_guide_to_the_first_deployment_reads_outputs_that_exist(before: dict[str, dict[str, Any]]) -> None:
    guide = (ROOT / "docs" / "first-deployment.md").read_text()
    read = set(re.findall(r"output (Data|Api) (\w+)", guide))
    assert len(read) == 4
    for part, name in read:
        assert name in before[part]["Outputs"], name


def test_people_reach_the_database_through_the_migrations_group_with_a_token(before: dict[str, dict[str, Any]]) -> None:
    outputs = {name: json.dumps(output["Value"]) for name, output in before["Data"]["Outputs"].items()}
    assert "NetworkMigration" in outputs["ShellPlace"]
    assert "generate-db-auth-token" in outputs["ShellCommand"]
    assert "sslmode=require" in outputs["ShellCommand"]


def test_postgresql_has_the_version_that_was_chosen() -> None:
    older = synthesize_few("dev", **EVERY_CHOICE).templates
    [instance] = of_type(older["Data"], INSTANCE).values()
    assert instance["Properties"]["EngineVersion"] == "17"
    [parameters] = of_type(older["Data"], "AWS::RDS::DBParameterGroup").values()
    assert parameters["Properties"]["Family"] == "postgres17"


def test_the_database_logs_what_it_does_but_no_customers_data(stage: Synthesized) -> None:
    _, database = stage.database()
    assert database["EnableCloudwatchLogsExports"] == (["postgresql"] if stage.aurora else ["postgresql", "upgrade"])
    # AWS would otherwise make these groups itself, without an end to what they keep.
    groups = {group["Properties"].get("LogGroupName") for group in stage.resources("AWS::Logs::LogGroup").values()}
    kind, name = ("cluster", "DBClusterIdentifier") if stage.aurora else ("instance", "DBInstanceIdentifier")
    assert groups >= {f"/aws/rds/{kind}/{database[name]}/{log}" for log in database["EnableCloudwatchLogsExports"]}
    for name, instance in stage.resources(INSTANCE).items():
        assert instance["Properties"]["MonitoringInterval"] == 60, name
    parameters = stage.database_parameters()
    assert "pg_stat_statements" in parameters["shared_preload_libraries"]
    assert parameters["log_error_verbosity"] == "terse"
    assert parameters["log_parameter_max_length"] == parameters["log_parameter_max_length_on_error"] == "0"


def test_rds_may_make_and_write_the_log_group_of_enhanced_monitoring(stage: Synthesized) -> None:
    [role] = [name.partition("/")[2] for name in stage.resources("AWS::IAM::Role") if "MonitoringRole" in name]
    [policy] = [p for p in stage.resources("AWS::IAM::Policy").values() if {"Ref": role} in p["Properties"]["Roles"]]
    # As CloudWatch Logs names what it checks the action against: a name alone matches only some of them.
    for action, checked in (
        ("logs:CreateLogGroup", ":log-group:RDSOSMetrics:log-stream:"),
        ("logs:PutRetentionPolicy", ":log-group:RDSOSMetrics"),
        ("logs:PutRetentionPolicy", ":log-group:RDSOSMetrics:*"),
        ("logs:PutLogEvents", ":log-group:RDSOSMetrics:log-stream:db-ABC"),
    ):
        allowed = [
            resource["Fn::Join"][1][-1]
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if action in statement["Action"]
            for resource in [statement["Resource"]]
            for resource in (resource if isinstance(resource, list) else [resource])
        ]
        assert any(fnmatchcase(checked, pattern) for pattern in allowed), (action, checked)


def test_the_default_security_group_is_closed(stage: Synthesized) -> None:
    [closed] = stage.resources("Custom::VpcRestrictDefaultSG").values()
    assert "DefaultSecurityGroup" in json.dumps(closed["Properties"]["DefaultSecurityGroupId"])


def test_production_is_backed_up_to_another_region_and_nobody_can_delete_it(before: dict[str, dict[str, Any]]) -> None:
    [plan] = of_type(before["Data"], "AWS::Backup::BackupPlan").values()
    [rule] = plan["Properties"]["BackupPlan"]["BackupPlanRule"]
    assert rule["ScheduleExpression"] == "cron(15 */6 * * ? *)"
    [copy] = rule["CopyActions"]
    [copies] = of_type(before["Copies"], "AWS::Backup::BackupVault").values()
    target = json.dumps(copy["DestinationBackupVaultArn"])
    assert "eu-west-1" in target
    assert f'backup-vault:{copies["Properties"]["BackupVaultName"]}"' in target
    # Where the copies are the stage is deployed to when its own region is lost, with a vault of its own.
    [own] = of_type(before["Data"], "AWS::Backup::BackupVault").values()
    assert own["Properties"]["BackupVaultName"] != copies["Properties"]["BackupVaultName"]
    for part in ("Data", "Copies"):
        [vault] = of_type(before[part], "AWS::Backup::BackupVault").values()
        [statement] = vault["Properties"]["AccessPolicy"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert "backup:DeleteRecoveryPoint" in statement["Action"]
        # What a failed first deployment leaves would have the name that the next one needs.
        assert vault["DeletionPolicy"] == "RetainExceptOnCreate"


def test_somebody_is_told_of_a_snapshot_or_copy_that_was_not_made(production: Synthesized) -> None:
    [vault] = of_type(production.templates["Data"], "AWS::Backup::BackupVault").values()
    name = vault["Properties"]["BackupVaultName"]
    [rule] = [
        rule["Properties"]
        for rule in production.resources("AWS::Events::Rule").values()
        if rule["Properties"].get("EventPattern", {}).get("source") == ["aws.backup"]
    ]
    detail = rule["EventPattern"]["detail"]
    assert "FAILED" in detail["state"]
    [snapshot, copy] = detail["$or"]
    assert snapshot == {"backupVaultName": [name]}
    assert json.dumps(copy["sourceBackupVaultArn"]).endswith(f':backup-vault:{name}"]]}}]')
    [target] = rule["Targets"]
    [(topic, policy)] = production.resources("AWS::SNS::TopicPolicy").items()
    assert target["Arn"] == policy["Properties"]["Topics"][0], topic
    senders = [statement.get("Principal") for statement in policy["Properties"]["PolicyDocument"]["Statement"]]
    assert {"Service": "events.amazonaws.com"} in senders
    section = target["InputTransformer"]["InputTemplate"].rpartition("#")[2].strip('"')
    assert f"### {section}\n" in (ROOT / "docs" / "operations.md").read_text()


def test_no_snapshot_starts_while_rds_backs_up_or_maintains_the_instance(before: dict[str, dict[str, Any]]) -> None:
    """Such a snapshot fails, and one that starts in the hour before; on Aurora neither. (AWS Backup, Troubleshooting)"""
    [plan] = of_type(before["Data"], "AWS::Backup::BackupPlan").values()
    [rule] = plan["Properties"]["BackupPlan"]["BackupPlanRule"]
    [minute, hours] = map(int, re.findall(r"cron\((\d+) \*/(\d+) ", rule["ScheduleExpression"])[0])
    [instance] = of_type(before["Data"], INSTANCE).values()
    windows = [instance["Properties"][f"Preferred{name}Window"] for name in ("Backup", "Maintenance")]
    for window in windows:
        opens, closes = (int(hour) * 60 + int(past) for hour, past in re.findall(r"(\d\d):(\d\d)", window))
        assert opens < closes
        for hour in range(0, 24, hours):
            first = hour * 60 + minute
            assert closes <= first or first + rule["StartWindowMinutes"] <= opens - 60, (window, hour)


def test_a_function_cannot_use_what_lambda_needs_to_place_it_in_the_network(stage: Synthesized) -> None:
    roles = [
        f["Properties"]["Role"] for f in stage.resources("AWS::Lambda::Function").values() if "VpcConfig" in f["Properties"]
    ]
    denied = [
        json.dumps(policy["Properties"]["Roles"])
        for policy in stage.resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and set(statement["Action"]) == set(NETWORK_ACTIONS)
        and "lambda:SourceFunctionArn" in statement["Condition"]["ArnLike"]
    ]
    assert roles
    for role in roles:
        assert json.dumps([{"Ref": role["Fn::GetAtt"][0]}]) in denied


def test_every_endpoint_lets_only_the_accounts_principals_do_what_functions_do(stage: Synthesized) -> None:
    for name, endpoint in stage.resources("AWS::EC2::VPCEndpoint").items():
        [statement] = endpoint["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Resource"] != "*", name
        assert "*" not in json.dumps(statement["Action"]), name
        assert "aws:PrincipalAccount" in statement["Condition"]["StringEquals"], name
