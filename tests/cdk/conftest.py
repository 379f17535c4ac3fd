"""Each stage synthesized once per run, without bundling: the rules check the template."""

import os
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from cdk.app import build

# The library's own validation runs in `make synth`; here it would only take time.
os.environ["CDK_VALIDATION"] = "false"

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"


@dataclass(frozen=True)
class Synthesized:
    """A stage: the app, and the resources of its stacks by name and logical id."""

    app: cdk.App
    stacks: dict[str, dict[str, Any]]

    @property
    def aurora(self) -> bool:
        return self.resources(CLUSTER) != {}

    def database(self) -> tuple[str, dict[str, Any]]:
        """Logical id and properties of what holds the data: the cluster of Aurora, or the instance of RDS."""
        [(name, resource)] = self.resources(CLUSTER if self.aurora else INSTANCE).items()
        return name.partition("/")[2], resource["Properties"]

    def database_parameters(self) -> dict[str, str]:
        """The settings of PostgreSQL that differ from AWS's."""
        [group] = self.resources(f"{CLUSTER}ParameterGroup" if self.aurora else "AWS::RDS::DBParameterGroup").values()
        parameters: dict[str, str] = group["Properties"]["Parameters"]
        return parameters

    def resources(self, *types: str) -> dict[str, dict[str, Any]]:
        """Properties by stack and logical id, of all resources or those of the given types."""
        return {
            f"{stack}/{name}": resource
            for stack, resources in self.stacks.items()
            for name, resource in resources.items()
            if not types or resource["Type"] in types
        }


def synthesize(stage: str, **context: Any) -> Synthesized:
    app = build({"stage": stage, "aws:cdk:bundling-stacks": [], **context})
    prefix = f"Orders-{stage}-"
    stacks = {child.node.id.removeprefix(prefix): child for child in app.node.children if child.node.id.startswith(prefix)}
    return Synthesized(app, {name: Template.from_stack(stack).to_json()["Resources"] for name, stack in stacks.items()})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def dev() -> Synthesized:
    return synthesize("dev")


@pytest.fixture(scope="session")
def prod() -> Synthesized:
    return synthesize("prod")


@pytest.fixture(scope="session")
def dev_on_aurora() -> Synthesized:
    return synthesize("dev", database="aurora")


@pytest.fixture(scope="session")
def prod_on_aurora() -> Synthesized:
    return synthesize("prod", database="aurora")


@pytest.fixture(params=["prod", "prod_on_aurora"])
def production(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized


@pytest.fixture(params=["dev", "prod", "dev_on_aurora", "prod_on_aurora"])
def stage(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized
