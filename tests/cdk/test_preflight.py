"""What `make deploy` asks the region first. moto knows no engine versions, so AWS's own model validates the answers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cdk.preflight import context, problems, warnings
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


def test_a_warning_precedes_a_version_that_no_api_call_can_confirm() -> None:
    assert warnings(from_context({"postgres": "17"})) == []
    [sentence] = warnings(from_context({"postgres": "18"}))
    assert "-c postgres=17" in sentence


def test_the_clis_options_are_understood() -> None:
    arguments = ["stage=prod", "-c", "alarm_email=a@example.com", "-c", "postgres=17", "--outputs-file", "outputs.json"]
    assert context(arguments) == {"stage": "prod", "alarm_email": "a@example.com", "postgres": "17"}


def test_nothing_is_deployed_without_a_check() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndeploy:")[2].partition("\n\n")[0]
    assert recipe.index("cdk.preflight") < recipe.index("$(CDK) deploy")


@pytest.mark.parametrize("argument", ["stage=staging", "postgres=9"])
def test_a_refusal_is_a_sentence(argument: str) -> None:
    command = [sys.executable, "-m", "cdk.preflight", argument]
    refusal = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refusal.returncode == 1
    assert refusal.stderr.startswith("Nothing was deployed. ")
    assert "Traceback" not in refusal.stderr
