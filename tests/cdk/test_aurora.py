"""What a stage on Aurora has beyond the rules that hold for both engines, and how a live stage gets there."""

import json
import re
from typing import Any

import botocore.session
import jmespath
import pytest
from botocore import xform_name

from cdk.settings import from_context
from contract.functions import ROOT, load_functions
from tests.artefact.assembly import Assembly
from tests.cdk.conftest import CLUSTER, INSTANCE, Synthesized, synthesize, synthesize_few
from tests.cdk.test_database import EGRESS, INGRESS, PROXY, RESTORED, TARGETS, exports, imports, migration, of_type

ENDPOINT, FUNCTION = "AWS::RDS::DBProxyEndpoint", "AWS::Lambda::Function"
CLUSTER_ENDPOINT = "orders-prod-2.cluster-abc.eu-central-1.rds.amazonaws.com"
RESTORED_CLUSTER = {"restored": f"orders-prod-2,cluster-ABCDEF0123,{CLUSTER_ENDPOINT}"}


@pytest.fixture(params=["dev_on_aurora", "prod_on_aurora"])
def on_aurora(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized


@pytest.fixture(scope="module")
def on_rds() -> dict[str, dict[str, Any]]:
    return synthesize_few("prod").templates


@pytest.fixture(scope="module")
def moved() -> dict[str, dict[str, Any]]:
    """Production, made on RDS, after a move to a cluster."""
    return synthesize_few("prod", **RESTORED_CLUSTER).templates


@pytest.fixture(scope="module")
def made_on_aurora() -> dict[str, dict[str, Any]]:
    return synthesize_few("prod", database="aurora").templates


def hosts(stage: Synthesized) -> dict[str, str]:
    """Where each function's statements go, as JSON."""
    functions = [f["Properties"].get("Environment", {}).get("Variables", {}) for f in stage.resources(FUNCTION).values()]
    return {v["POWERTOOLS_SERVICE_NAME"]: json.dumps(v["DATABASE_HOST"]) for v in functions if "DATABASE_HOST" in v}


def test_the_writer_and_the_reader_are_in_two_zones_and_scale_together(on_aurora: Synthesized) -> None:
    instances = [instance["Properties"] for instance in on_aurora.resources(INSTANCE).values()]
    zones = [json.dumps(instance["AvailabilityZone"]) for instance in instances]
    assert len(instances) == len(set(zones)) == 2
    # The network has subnets in exactly these.
    subnets = on_aurora.resources("AWS::EC2::Subnet").values()
    assert sorted(zones) == sorted(json.dumps(subnet["Properties"]["AvailabilityZone"]) for subnet in subnets)
    for instance in instances:
        # Beyond tier 1 a reader's capacity does not follow the writer's, and it would take over too small.
        assert instance["PromotionTier"] in (0, 1)
        assert instance["DBInstanceClass"] == "db.serverless"
    capacity = on_aurora.database()[1]["ServerlessV2ScalingConfiguration"]
    assert 0 < capacity["MinCapacity"] < capacity["MaxCapacity"] <= 256


def test_the_read_only_endpoint_obeys_the_proxys_rules(on_aurora: Synthesized) -> None:
    [endpoint] = [resource["Properties"] for resource in on_aurora.resources(ENDPOINT).values()]
    [proxy] = [resource["Properties"] for resource in on_aurora.resources(PROXY).values()]
    assert endpoint["TargetRole"] == "READ_ONLY"
    for name in ("VpcSecurityGroupIds", "VpcSubnetIds"):
        assert endpoint[name] == proxy[name]


def test_the_proxy_waits_until_both_instances_exist(on_aurora: Synthesized) -> None:
    """Its target group would otherwise have no target that could be registered."""
    [targets] = on_aurora.resources(TARGETS).values()
    assert {name.partition("/")[2] for name in on_aurora.resources(INSTANCE)} <= set(targets["DependsOn"])


def test_only_functions_that_may_lag_read_from_the_replica(dev_in_areas: Synthesized, prod_with_more: Synthesized) -> None:
    """No function may today: the audit repairs what it finds. So in these two it is told that it may."""
    assert not [function for function in load_functions() if function.reads_replica]
    for stage in (dev_in_areas, prod_with_more):
        found = hosts(stage)
        lagging, migrating = found.pop("audit_totals"), found.pop("migrate_database")
        [others] = set(found.values())
        assert (lagging != others) == stage.aurora == (stage is dev_in_areas)
        assert migrating not in (lagging, others)
        if stage.aurora:
            assert "ProxyReader" in lagging


def test_alarms_watch_the_writer_and_not_an_average_with_an_idle_reader(on_aurora: Synthesized) -> None:
    found = {}
    for alarm in on_aurora.resources("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in properties.get("Dimensions", [])}
        if "DBClusterIdentifier" in dimensions:
            found[properties["MetricName"]] = dimensions.get("Role")
    assert found == {
        "CPUUtilization": "WRITER",
        "DatabaseConnections": "WRITER",
        "ACUUtilization": "WRITER",
        "Deadlocks": "WRITER",
        "AuroraReplicaLag": "READER",
        # Of the cluster, not of an instance.
        "VolumeBytesUsed": None,
    }


def test_etags_begin_a_generation_per_cluster(on_aurora: Synthesized) -> None:
    variables, _ = migration(on_aurora)
    assert "DBClusterResourceId" in json.dumps(variables["DATABASE_INSTANCE"])
    assert "EndpointAddress" in json.dumps(variables["DATABASE_HOST"])


@pytest.mark.parametrize("name", ["dev_on_aurora", "dev_in_areas"])
def test_every_variable_of_every_function_leads_to_a_resource_of_the_assembly(
    name: str, request: pytest.FixtureRequest
) -> None:
    """As CloudFormation resolves them, across the stacks; the same variables then start the same code as on RDS."""
    stage: Synthesized = request.getfixturevalue(name)
    lagging = {function.name for function in stage.functions if function.reads_replica}
    values = {
        (PROXY, "Endpoint"): "proxy.example",
        (ENDPOINT, "Endpoint"): "reader.example",
        (CLUSTER, "Endpoint.Address"): "writer.example",
        (CLUSTER, "DBClusterResourceId"): "cluster-ABCDEF0123",
        ("AWS::SQS::Queue", "Ref"): "https://queue.example",
        ("AWS::S3::Bucket", "Ref"): "exports",
        ("AWS::ApiGatewayV2::Api", "ApiEndpoint"): "https://api.example",
        ("AWS::Cognito::UserPool", "ProviderURL"): "https://issuer.example",
        ("AWS::Cognito::UserPoolClient", "Ref"): "console",
    }
    assembly = Assembly(stage.folder, "dev", values)
    resolved = {
        name: {key: assembly.resolve(value) for key, value in properties["Environment"]["Variables"].items()}
        for name, properties in assembly.functions().items()
    }
    assert resolved.keys() == {function.name for function in load_functions()}
    migrating = resolved.pop("migrate_database")
    assert (migrating["DATABASE_HOST"], migrating["DATABASE_INSTANCE"]) == ("writer.example", "cluster-ABCDEF0123")
    for function, variables in resolved.items():
        host = "reader.example" if function in lagging else "proxy.example"
        assert variables.get("DATABASE_HOST", host) == host, function


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_cloudformation_refuses_to_replace_a_live_database(stage: str) -> None:
    """The Data stack is deployed first, and may not remove what the live Api stack imports."""
    rds, aurora = synthesize(stage).templates, synthesize(stage, database="aurora").templates
    for live, next_one in ((rds, aurora), (aurora, rds)):
        removed = set(imports(live["Api"])) - exports(next_one["Data"]).keys()
        assert [name for name in removed if "DatabaseInstance" in name or "DatabaseCluster" in name]


def test_a_live_stage_moves_without_losing_its_instance(
    on_rds: dict[str, dict[str, Any]], moved: dict[str, dict[str, Any]]
) -> None:
    for kind in (INSTANCE, "AWS::EC2::SecurityGroup", PROXY, "AWS::RDS::DBParameterGroup"):
        assert of_type(moved["Data"], kind) == of_type(on_rds["Data"], kind), kind
    for kind in (INGRESS, EGRESS):
        # CDK's description names the engine, which CloudFormation updates in place.
        rules = [json.dumps(of_type(made["Data"], kind), sort_keys=True) for made in (moved, on_rds)]
        assert rules[0].replace("database Cluster", "database Instance") == rules[1]
    assert of_type(moved["Data"], CLUSTER) == {}
    kept = exports(moved["Data"])
    for name in imports(on_rds["Api"]):
        assert kept[name] == exports(on_rds["Data"])[name]


@pytest.mark.parametrize("made", ["on_rds", "made_on_aurora"])
def test_everything_follows_to_a_cluster_that_was_restored(made: str, request: pytest.FixtureRequest) -> None:
    engine = {} if made == "on_rds" else {"database": "aurora"}
    after = synthesize_few("prod", **engine, **RESTORED_CLUSTER).templates
    [targets] = of_type(after["Data"], TARGETS).values()
    assert targets["Properties"]["DBClusterIdentifiers"] == ["orders-prod-2"]
    assert "DBInstanceIdentifiers" not in targets["Properties"]
    [endpoint] = of_type(after["Data"], ENDPOINT).values()
    # Until then a proxy of RDS has an instance, for which RDS makes no read-only endpoint.
    assert set(of_type(after["Data"], TARGETS)) <= set(endpoint["DependsOn"])
    assert "dbuser:cluster-ABCDEF0123/orders_app" in json.dumps(of_type(after["Data"], "AWS::IAM::Policy"))
    [variables] = [
        f["Properties"]["Environment"]["Variables"]
        for f in of_type(after["Api"], FUNCTION).values()
        if "DATABASE_INSTANCE" in f["Properties"].get("Environment", {}).get("Variables", {})
    ]
    assert (variables["DATABASE_HOST"], variables["DATABASE_INSTANCE"]) == (CLUSTER_ENDPOINT, "cluster-ABCDEF0123")
    alarms = json.dumps(of_type(after["Api"], "AWS::CloudWatch::Alarm"))
    assert '{"Name": "DBClusterIdentifier", "Value": "orders-prod-2"}' in alarms
    assert "DBInstanceIdentifier" not in alarms
    [selection] = of_type(after["Data"], "AWS::Backup::BackupSelection").values()
    assert ":cluster:orders-prod-2" in json.dumps(selection["Properties"]["BackupSelection"]["Resources"])
    before = request.getfixturevalue(made)
    [former], [now] = (of_type(template["Api"], "Custom::Trigger").values() for template in (before, after))
    assert former["Properties"]["HandlerArn"] != now["Properties"]["HandlerArn"]


def commands(template: dict[str, Any], output: str) -> list[tuple[str, set[str]]]:
    """The operations of an output for the shell, each with its options; `no-` is left out."""
    value = template["Data"]["Outputs"][output]["Value"]
    text = "".join(part if isinstance(part, str) else "REFERENCE" for part in value["Fn::Join"][1])
    found = []
    for command in text.split(" && "):
        [operation] = re.findall(r"^aws rds ([a-z-]+) ", command)
        found.append((operation, {option.removeprefix("no-") for option in re.findall(r" --([a-z0-9-]+)", command)}))
    return found


@pytest.mark.parametrize(
    ("made", "output", "operations"),
    [
        ("made_on_aurora", "RestoreCommand", ["restore-db-cluster-to-point-in-time"]),
        ("moved", "RestoreCommand", ["restore-db-cluster-to-point-in-time"]),
        (
            "on_rds",
            "MoveCommand",
            ["create-db-cluster-parameter-group", "modify-db-cluster-parameter-group", "create-db-cluster"],
        ),
    ],
)
def test_rds_knows_the_commands_that_make_a_cluster(
    made: str, output: str, operations: list[str], request: pytest.FixtureRequest
) -> None:
    """Each option is a parameter of the call in AWS's own model of the API, and none that the call requires is missing."""
    found = commands(request.getfixturevalue(made), output)
    # A cluster begins without instances.
    assert [operation for operation, _ in found] == [*operations, "create-db-instance", "create-db-instance"]
    model = botocore.session.get_session().get_service_model("rds")
    names = {xform_name(name, "-"): name for name in model.operation_names}
    for operation, options in found:
        shape = model.operation_model(names[operation]).input_shape
        assert options <= {xform_name(name, "-") for name in shape.members}, operation
        assert {xform_name(name, "-") for name in shape.required_members} <= options, operation


def test_a_move_gives_the_cluster_the_settings_that_the_instance_has(on_rds: dict[str, dict[str, Any]]) -> None:
    text = json.dumps(on_rds["Data"]["Outputs"]["MoveCommand"])
    [group] = of_type(on_rds["Data"], "AWS::RDS::DBParameterGroup").values()
    for name, value in group["Properties"]["Parameters"].items():
        assert f"ParameterName={name},ParameterValue={value}," in text


def test_a_deployment_accepts_what_the_runbook_prints_about_a_cluster() -> None:
    [query] = re.findall(r'--query "(DBClusters.+)"', (ROOT / "docs" / "operations.md").read_text())
    cluster = {
        "DBClusterIdentifier": "orders-prod-2",
        "DbClusterResourceId": "cluster-ABCDEF0123",
        "Endpoint": CLUSTER_ENDPOINT,
    }
    assert jmespath.search(query, {"DBClusters": [cluster]}) == RESTORED_CLUSTER["restored"]


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"database": "oracle"}, "choose one of rds, aurora"),
        ({"database": "aurora", **RESTORED}, "restored into a cluster"),
        ({"database": "aurora", "first_edition": "true"}, "From RDS to Aurora"),
    ],
)
def test_a_choice_that_would_lose_data_is_refused(context: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        from_context(context)
