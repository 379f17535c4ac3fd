"""What the bill consists of: every price has a source, and nothing is deployed whose cost was overlooked."""

import re
import tomllib

import pytest

from cdk.costs import COSTS, PRICES, TABLE, Line, Prices, backups, health_check, idle, mail, request
from cdk.settings import STAGES
from tests.cdk.conftest import Synthesized

PRICED = {
    "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::RDS::DBProxy", "AWS::EC2::VPCEndpoint", "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard", "AWS::Cognito::UserPoolClient", "AWS::Backup::BackupPlan",
}  # fmt: skip
# Billed by use, or free.
FREE_WHEN_IDLE = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage", "AWS::Backup::BackupSelection", "AWS::Backup::BackupVault",
    "AWS::CloudFormation::Stack", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup", "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolDomain", "AWS::Cognito::UserPoolResourceServer", "AWS::EC2::FlowLog", "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPC", "AWS::Events::Rule", "AWS::IAM::Policy", "AWS::IAM::Role",
    "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion", "AWS::Lambda::Permission", "AWS::Lambda::Version", "AWS::Logs::LogGroup",
    "AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup", "AWS::RDS::DBProxyEndpoint",
    "AWS::RDS::DBProxyTargetGroup", "AWS::RDS::DBSubnetGroup", "AWS::S3::Bucket", "AWS::S3::BucketPolicy",
    "AWS::SES::ConfigurationSet", "AWS::SES::ConfigurationSetEventDestination", "AWS::SES::EmailIdentity",
    "AWS::SNS::Subscription", "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Custom::Trigger",
    "Custom::VpcRestrictDefaultSG",
}  # fmt: skip


def prices() -> Prices:
    return Prices(tomllib.loads(PRICES.read_text()))


def test_every_price_has_its_date_and_its_source_and_is_used(
    dev: Synthesized, prod: Synthesized, dev_on_aurora: Synthesized, prod_on_aurora: Synthesized
) -> None:
    table = prices()
    for name, price in table.table["prices"].items():
        assert price["dollars"] > 0, name
        assert price["per"], name
        assert re.match(r"20\d\d", price["as_of"]), name
        assert price["source"], name
    stages = (dev, prod, dev_on_aurora, prod_on_aurora)
    lines = [*request(table), *mail(table), *(line for stage in stages for line in idle(stage.resources(), table))]
    assert {line.price for line in lines} == table.dollars.keys()


def test_a_price_from_memory_is_marked_in_the_document() -> None:
    text = COSTS.read_text()
    for name, price in prices().table["prices"].items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| {name} | ") and line.count("|") == 6]
        assert ("**from memory**" in row) == (price["source"] == "memory"), name


def test_every_type_of_resource_has_a_price_or_is_known_to_be_free(stage: Synthesized) -> None:
    assert {resource["Type"] for resource in stage.resources().values()} <= PRICED | FREE_WHEN_IDLE


def test_a_stage_pays_for_what_its_templates_contain(dev: Synthesized, prod: Synthesized) -> None:
    table = prices()
    in_dev, in_prod = ({line.price: line.quantity for line in idle(s.resources(), table)} for s in (dev, prod))
    assert in_prod["RDS gp3"] == 2 * STAGES["prod"].storage_gb
    assert in_dev["RDS gp3"] == STAGES["dev"].storage_gb
    assert in_prod["RDS db.m8g.large"] == 2 * 730
    assert "RDS backup storage" not in in_dev
    for stage, bill in ((dev, in_dev), (prod, in_prod)):
        assert bill["alarm"] > len(stage.resources("AWS::CloudWatch::Alarm"))
        assert bill["Cognito machine client"] == 1


def test_aurora_is_billed_by_the_capacity_that_two_instances_keep(prod_on_aurora: Synthesized) -> None:
    bill = {line.price: line.quantity for line in idle(prod_on_aurora.resources(), prices())}
    assert bill["Aurora ACU"] == 730 * 2 * STAGES["prod"].aurora_min_capacity
    assert bill["Aurora storage"] == STAGES["prod"].storage_gb
    assert bill["RDS Proxy for Aurora"] == 730 * 8
    assert not [price for price in bill if price.startswith("RDS db.") or price == "RDS gp3"]


def test_backups_are_only_free_in_the_databases_region_and_up_to_its_size() -> None:
    table = Prices({"prices": {}, "backups": {"changed_percent_per_day": 1}})
    copy = {"Lifecycle": {"DeleteAfterDays": 14}}
    lines = backups([{"Lifecycle": {"DeleteAfterDays": 7}, "CopyActions": [copy]}], 100, table)
    assert [line.quantity for line in lines] == [7, 114, pytest.approx(30.4, abs=0.1)]


def test_a_bill_is_the_sum_of_its_lines() -> None:
    table = Prices({"prices": {"a": {"dollars": 2}, "b": {"dollars": 0.5}}})
    assert table.total([Line("x", "a", 3), Line("y", "b", 4)]) == 8
    assert all(line.quantity < 1 for line in health_check())


def test_prose_names_no_dollars_of_its_own() -> None:
    prose = TABLE.sub("", COSTS.read_text())
    assert not re.search(r"\$ ?\d|\d ?\$|\d\.\d\d\b", prose)
