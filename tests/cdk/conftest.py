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


@dataclass(frozen=True)
class Synthesized:
    """A stage: the app, and the resources of its stacks by name and logical id."""

    app: cdk.App
    stacks: dict[str, dict[str, Any]]

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


@pytest.fixture(params=["dev", "prod"])
def stage(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized
