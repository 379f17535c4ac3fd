"""What `make doctor` says about an AWS account. AWS's own model validates the answers."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cdk.doctor import bootstrap, examine, region_offers
from cdk.settings import from_context

DEV = from_context({"stage": "dev"})


@pytest.fixture
def ssm() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("ssm", region_name="eu-west-1")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def bootstrapped(stub: Stubber, version: str) -> None:
    name = "/cdk-bootstrap/ordersdev/version"
    stub.add_response("get_parameter", {"Parameter": {"Name": name, "Value": version}}, {"Name": name})


def test_a_region_without_the_stages_bootstrap_stack_is_named(ssm: tuple[Any, Stubber]) -> None:
    client, stub = ssm
    stub.add_client_error("get_parameter", "ParameterNotFound")
    [(kind, what, remedy)] = bootstrap(client, "eu-west-1", DEV)
    assert (kind, what) == ("problem", "eu-west-1 is not bootstrapped for dev.")
    assert remedy == "AWS_REGION=eu-west-1 make bootstrap STAGE=dev"


@pytest.mark.parametrize(("version", "kind"), [("5", "problem"), ("6", "ok"), ("30", "ok")])
def test_a_bootstrap_stack_has_to_be_new_enough(ssm: tuple[Any, Stubber], version: str, kind: str) -> None:
    client, stub = ssm
    bootstrapped(stub, version)
    [(found, _, remedy)] = bootstrap(client, "eu-west-1", DEV)
    assert found == kind
    assert ("make bootstrap" in remedy) == (kind == "problem")


@pytest.mark.parametrize(("versions", "kind"), [(["17.2"], "problem"), (["17.2", "18.1"], "ok")])
def test_a_region_without_the_version_of_postgresql_is_named(versions: list[str], kind: str) -> None:
    rds, cloudformation = (boto3.client(name, region_name="eu-west-1") for name in ("rds", "cloudformation"))
    with Stubber(rds) as engine, Stubber(cloudformation) as stacks:
        stacks.add_client_error("list_stack_resources", "ValidationError", "Stack does not exist")
        engine.add_response(
            "describe_db_engine_versions", {"DBEngineVersions": [{"EngineVersion": version} for version in versions]}
        )
        option = {"StorageType": "gp3", "SupportsIAMDatabaseAuthentication": True, "MultiAZCapable": True}
        engine.add_response("describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": [option]})
        found = list(region_offers(cloudformation, rds, "eu-west-1", DEV))
    # RDS Proxy's own support is a note either way.
    assert [one for one, _, _ in found if one != "note"] == [kind]
    if kind == "problem":
        assert found[0][1:] == ("eu-west-1 does not offer PostgreSQL 18 (only 17).", "deploy with -c postgres=17.")


def test_a_choice_of_the_operator_that_is_wrong_is_a_problem() -> None:
    [(kind, what, _)] = examine(["stage=staging"])
    assert kind == "problem"
    assert "staging" in what
