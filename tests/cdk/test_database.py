"""The database's part of the templates: who logs in how, over which rules, and what an operator's choices change."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template

from cdk.app import build
from tests.cdk.conftest import Synthesized

INSTANCE, PROXY, TARGETS = "AWS::RDS::DBInstance", "AWS::RDS::DBProxy", "AWS::RDS::DBProxyTargetGroup"
INGRESS, EGRESS = "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"
# What the first edition's Api stack imports from its Data stack, by stage.
FIRST_EDITION = json.loads(Path(__file__).with_name("first_edition_exports.json").read_text())


def templates(stage: str, **context: str) -> dict[str, dict[str, Any]]:
    """Whole templates by the last part of the stack's name."""
    app = build({"stage": stage, "aws:cdk:bundling-stacks": [], **context})
    return {
        child.node.id.rpartition("-")[2]: dict(Template.from_stack(child).to_json())  # type: ignore[arg-type]
        for child in app.node.children
        if child.node.id.startswith("Orders-")
    }


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
    [instance] = [resource["Properties"] for resource in stage.resources(INSTANCE).values()]
    assert instance["MasterUserAuthenticationType"] == "iam-db-auth"
    assert not {"ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecret"} & instance.keys()
    variables, statements = migration(stage)
    assert variables["DATABASE_USER"] == instance["MasterUsername"]
    [connect] = [json.dumps(s["Resource"]) for s in statements if s["Action"] == "rds-db:connect"]
    assert "DbiResourceId" in connect
    assert connect.endswith('/postgres"]]}')
    assert "secret" not in json.dumps(stage.stacks["Api"]).lower()


def test_every_rule_between_security_groups_exists_once(stage: Synthesized) -> None:
    """Two that say the same are one to EC2: one of them fails, or its deletion takes the other away."""
    port = json.dumps({"Fn::GetAtt": [next(iter(stage.resources(INSTANCE))).partition("/")[2], "Endpoint.Port"]})
    for kind in (INGRESS, EGRESS):
        rules = []
        for resource in stage.resources(kind).values():
            rule = {name: value for name, value in resource["Properties"].items() if name != "Description"}
            rules.append(json.dumps(rule, sort_keys=True).replace(port, "6432"))
        assert rules
        assert sorted(rules) == sorted(set(rules))


def test_the_proxys_target_waits_for_the_rules_that_it_is_reached_by(stage: Synthesized) -> None:
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
    """CloudFormation refuses to take an export away that another stack imports, and the Data stack is deployed first."""
    after = templates(stage_name, first_edition="true")
    kept = exports(after["Data"])
    for name, value in FIRST_EDITION[stage_name].items():
        assert kept.get(name) == value, name
    [instance] = [r["Properties"] for r in after["Data"]["Resources"].values() if r["Type"] == INSTANCE]
    assert instance["ManageMasterUserPassword"] is True
    assert "MasterUserAuthenticationType" not in instance
    assert not [name for name in imports(after["Api"]) if "Secret" in name]
