"""What `make deploy` asks the region first. moto knows no engine versions, so AWS's own model validates the answers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cdk.preflight import allowed, context, problems, replaces_database, warnings
from cdk.settings import from_context
from contract.functions import ROOT

VERSIONS = ["15.14", "16.10", "17.2", "17.10", "17.9"]


@pytest.fixture
def rds() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("rds", region_name="eu-central-1")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def offer(stub: Stubber, *versions: str) -> None:
    answer = {"DBEngineVersions": [{"Engine": "postgres", "EngineVersion": version} for version in versions]}
    stub.add_response("describe_db_engine_versions", answer, {"Engine": "postgres"})


def orderable(stub: Stubber, version: str, instance: str, **differs: Any) -> None:
    option = {"StorageType": "gp3", "SupportsIAMDatabaseAuthentication": True, "MultiAZCapable": True, **differs}
    stub.add_response(
        "describe_orderable_db_instance_options",
        {"OrderableDBInstanceOptions": [option]},
        {"Engine": "postgres", "EngineVersion": version, "DBInstanceClass": f"db.{instance}", "Vpc": True},
    )


def test_a_region_that_has_everything_is_no_problem(rds: tuple[Any, Stubber]) -> None:
    client, stub = rds
    offer(stub, *VERSIONS)
    orderable(stub, "17.10", "m8g.large")
    assert problems(client, "eu-central-1", from_context({"stage": "prod", "postgres": "17"})) == []


def test_a_version_that_the_region_lacks_is_reported_with_one_that_it_has(rds: tuple[Any, Stubber]) -> None:
    client, stub = rds
    offer(stub, *VERSIONS)
    [sentence] = problems(client, "eu-central-1", from_context({}))
    assert sentence == "eu-central-1 does not offer PostgreSQL 18 (only 15, 16, 17): deploy with -c postgres=17."


@pytest.mark.parametrize(
    "differs", [{"StorageType": "gp2"}, {"SupportsIAMDatabaseAuthentication": False}, {"MultiAZCapable": False}], ids=str
)
def test_an_instance_that_cannot_be_ordered_as_needed_is_a_problem(rds: tuple[Any, Stubber], differs: dict[str, Any]) -> None:
    client, stub = rds
    offer(stub, *VERSIONS, "18.2")
    orderable(stub, "18.2", "m8g.large", **differs)
    [sentence] = problems(client, "eu-central-1", from_context({"stage": "prod"}))
    assert re.match(r"eu-central-1 has no db\.m8g\.large for PostgreSQL 18\.2", sentence)


def test_copies_of_backups_within_the_region_are_a_problem(rds: tuple[Any, Stubber]) -> None:
    client, stub = rds
    offer(stub, "18.2")
    orderable(stub, "18.2", "m8g.large")
    [sentence] = problems(client, "eu-west-1", from_context({"stage": "prod"}))
    assert "backup_region" in sentence


AURORA = {"database": "aurora", "postgres": "17"}


@pytest.mark.parametrize(("zones", "iam", "fits"), [(3, True, True), (1, True, False), (2, False, False)])
def test_aurora_needs_serverless_instances_with_iam_in_two_zones(
    rds: tuple[Any, Stubber], zones: int, iam: bool, fits: bool
) -> None:
    client, stub = rds
    engine = "aurora-postgresql"
    versions = {"DBEngineVersions": [{"Engine": engine, "EngineVersion": version} for version in VERSIONS]}
    stub.add_response("describe_db_engine_versions", versions, {"Engine": engine})
    option = {
        "StorageType": "aurora",
        "SupportsIAMDatabaseAuthentication": iam,
        "MultiAZCapable": False,
        "AvailabilityZones": [{"Name": f"eu-central-1{letter}"} for letter in "abc"[:zones]],
    }
    wanted = {"Engine": engine, "EngineVersion": "17.10", "DBInstanceClass": "db.serverless", "Vpc": True}
    stub.add_response("describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": [option]}, wanted)
    found = problems(client, "eu-central-1", from_context(AURORA))
    assert (found == []) == fits
    assert all("db.serverless for Aurora PostgreSQL 17.10" in sentence for sentence in found)


def test_a_version_that_aurora_lacks_is_reported(rds: tuple[Any, Stubber]) -> None:
    client, stub = rds
    answer = {"DBEngineVersions": [{"Engine": "aurora-postgresql", "EngineVersion": "17.9"}]}
    stub.add_response("describe_db_engine_versions", answer, {"Engine": "aurora-postgresql"})
    [sentence] = problems(client, "eu-central-1", from_context({"database": "aurora"}))
    assert sentence == "eu-central-1 does not offer Aurora PostgreSQL 18 (only 17): deploy with -c postgres=17."


@pytest.fixture
def cloudformation() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("cloudformation", region_name="eu-central-1")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def live(stub: Stubber, *kinds: str, status: str = "CREATE_COMPLETE") -> None:
    now = datetime.now(UTC)
    resources = [
        {"LogicalResourceId": f"R{i}", "ResourceType": kind, "LastUpdatedTimestamp": now, "ResourceStatus": status}
        for i, kind in enumerate(kinds)
    ]
    stub.add_response("list_stack_resources", {"StackResourceSummaries": resources}, {"StackName": "Orders-dev-Data"})


INSTANCE, CLUSTER = "AWS::RDS::DBInstance", "AWS::RDS::DBCluster"


@pytest.mark.parametrize(
    ("kinds", "chosen", "remedy"),
    [
        ((INSTANCE,), "aurora", "From RDS to Aurora"),
        ((INSTANCE, CLUSTER, INSTANCE), "rds", "-c database=aurora"),
        ((INSTANCE,), "rds", None),
        ((INSTANCE, CLUSTER, INSTANCE), "aurora", None),
        ((), "aurora", None),
    ],
)
def test_a_live_database_is_not_replaced_by_one_of_the_other_engine(
    cloudformation: tuple[Any, Stubber], kinds: tuple[str, ...], chosen: str, remedy: str | None
) -> None:
    client, stub = cloudformation
    live(stub, *kinds)
    found = replaces_database(client, from_context({"database": chosen}))
    assert len(found) == (remedy is not None)
    assert all(str(remedy) in sentence for sentence in found)


def test_a_database_that_was_deleted_is_not_live(cloudformation: tuple[Any, Stubber]) -> None:
    client, stub = cloudformation
    live(stub, INSTANCE, status="DELETE_COMPLETE")
    assert replaces_database(client, from_context({"database": "aurora"})) == []


def test_a_new_stage_has_no_database_yet(cloudformation: tuple[Any, Stubber]) -> None:
    client, stub = cloudformation
    stub.add_client_error("list_stack_resources", "ValidationError", "Stack with id Orders-dev-Data does not exist")
    assert replaces_database(client, from_context({"database": "aurora"})) == []


def test_what_may_not_be_looked_at_is_named_and_does_not_stop_a_deployment(
    cloudformation: tuple[Any, Stubber], capsys: pytest.CaptureFixture[str]
) -> None:
    client, stub = cloudformation
    stub.add_client_error("list_stack_resources", "AccessDenied", "not authorized")
    assert allowed(lambda: replaces_database(client, from_context({}))) == []
    assert capsys.readouterr().out.startswith("Not checked: ")


def test_a_warning_precedes_a_version_that_no_api_call_can_confirm() -> None:
    assert warnings(from_context({"postgres": "17"})) == []
    [sentence] = warnings(from_context({"postgres": "18"}))
    assert "-c postgres=17" in sentence


def test_the_clis_options_are_understood() -> None:
    arguments = ["stage=prod", "-c", "alarm_email=a@example.com", "-c", "postgres=17", "--outputs-file", "outputs.json"]
    assert context(arguments) == {"stage": "prod", "alarm_email": "a@example.com", "postgres": "17"}


@pytest.mark.parametrize(
    ("answer", "arguments", "deployed"),
    [("y\n", [], True), ("n\n", [], False), ("", [], False), ("", ["YES=1"], True)],
    ids=["yes", "no", "nobody to ask", "YES=1"],
)
def test_a_deployment_checks_shows_what_changes_and_asks(
    tmp_path: Path, answer: str, arguments: list[str], deployed: bool
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "python $@"\n')
    python.chmod(0o755)
    # -o: the environment is taken as it is.
    make = ["make", "-o", ".venv/cdk", "--silent", "deploy", f"BIN={tmp_path}", "CDK=echo cdk", "STAGE=dev", *arguments]
    run = subprocess.run(make, cwd=ROOT, input=answer, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) == deployed, run.stderr
    steps = ["python -m cdk.preflight stage=dev", "cdk diff -c stage=dev"]
    places = [run.stdout.index(step) for step in [*steps, *(["cdk deploy"] if deployed else ["Nothing was deployed."])]]
    assert places == sorted(places)
    assert ("cdk deploy" in run.stdout) == deployed


def test_nothing_is_deployed_if_the_check_fails(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    make = ["make", "-o", ".venv/cdk", "deploy", f"BIN={tmp_path}", "CDK=echo cdk", "YES=1"]
    run = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "cdk d" not in run.stdout


@pytest.mark.parametrize("argument", ["stage=staging", "postgres=9"])
def test_a_refusal_is_a_sentence(argument: str) -> None:
    command = [sys.executable, "-m", "cdk.preflight", argument]
    refusal = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refusal.returncode == 1
    assert refusal.stderr.startswith("Nothing was deployed. ")
    assert "Traceback" not in refusal.stderr
