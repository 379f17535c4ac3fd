"""Each combination of choices is synthesized once per run, without bundling: the rules check the templates."""

import json
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk
import pytest

import cdk.app
from contract.functions import Function, load_functions

# The library's own validation runs in `make synth`; here it would only take time.
os.environ["CDK_VALIDATION"] = "false"

# An operator's, none of which has to do with another.
CHOICES = {
    "cors_origins": "https://shop.example.com",
    "alarm_email": "a@example.com",
    "all_at_once": "true",
    "postgres": "17",
    "seed_max_unfinished_rows": "1000",
    "mail_from": "Shop <orders@shop.example.com>",
}
EXTERNAL = {"jwt_issuer": "https://issuer.example.com", "jwt_audience": "orders"}
PEOPLE = {
    "jwt_console_client": "console",
    "jwt_authorize_url": "https://issuer.example.com/authorize",
    "jwt_token_url": "https://issuer.example.com/token",
}
# At once, as a stage takes seconds to make.
EVERY_CHOICE = EXTERNAL | PEOPLE | CHOICES
DOMAIN, ZONE = "orders.example.com", "Z0123456789ABC"
CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"


@dataclass(frozen=True)
class Synthesized:
    """A stage: the app, the folder with what it would deploy, and the functions that the app found.

    templates: by the last part of the stack's name. stacks: their resources, as `joined` writes them.
    """

    app: aws_cdk.App
    folder: Path
    functions: tuple[Function, ...]
    templates: dict[str, dict[str, Any]]
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

    def resource(self, logical_id: str) -> dict[str, Any]:
        """The only one of this id in whichever stack."""
        found: dict[str, Any]
        [found] = [resources[logical_id] for resources in self.stacks.values() if logical_id in resources]
        return found

    def resources(self, *types: str) -> dict[str, dict[str, Any]]:
        """Properties by stack and logical id, of all resources or those of the given types."""
        return {
            f"{stack}/{name}": resource
            for stack, resources in self.stacks.items()
            for name, resource in resources.items()
            if not types or resource["Type"] in types
        }


def synthesize(stage: str, **context: str) -> Synthesized:
    return _synthesize(stage, tuple(sorted(context.items())), tuple(cdk.app.load_functions()))  # type: ignore[attr-defined]


def synthesize_few(stage: str, **context: str) -> Synthesized:
    """For what a choice changes around the functions, or in each alike: with all of them it takes more than twice as long."""
    return synthesize_with(one_of_each(), stage, **context)


def one_of_each() -> list[Function]:
    """All functions except that of those that clients call, with the same rights, there is only the first."""
    kinds: dict[Any, Function] = {}
    for function in load_functions():
        same = function.trigger == "http" and function.has_database
        rights = replace(function, name="", folder=Path(), routes=())
        kinds.setdefault(rights if same else function.name, function)
    return list(kinds.values())


@cache
def _synthesize(stage: str, context: tuple[tuple[str, str], ...], functions: tuple[Function, ...]) -> Synthesized:
    """functions: those that the app finds, which a test may have replaced."""
    app = cdk.app.build({"stage": stage, "aws:cdk:bundling-stacks": [], **dict(context)})
    folder = Path(app.synth().directory)
    stacks = cdk.app.stacks_of(app)
    templates = {name: json.loads((folder / stack.template_file).read_text()) for name, stack in stacks.items()}
    areas = {logical_id(stack): name for name, stack in stacks.items() if isinstance(stack, aws_cdk.NestedStack)}
    return Synthesized(app, folder, functions, templates, joined(templates, areas))


def logical_id(area: aws_cdk.NestedStack) -> str:
    """Of the nested stack, in the one around it."""
    around, resource = area.nested_stack_parent, area.nested_stack_resource
    assert around is not None
    assert resource is not None
    return str(around.resolve(resource.ref)["Ref"])


def joined(templates: dict[str, dict[str, Any]], areas: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The resources by stack, where what a nested stack gets and gives is written as if all were in one stack.

    areas: the nested stacks' names by their logical ids in Api.
    """
    texts = {name: json.dumps(template["Resources"]) for name, template in templates.items()}
    for resource, area in areas.items():
        gets = templates["Api"]["Resources"][resource]["Properties"].get("Parameters", {})
        for name, value in gets.items():
            texts[area] = texts[area].replace(json.dumps({"Ref": name}), json.dumps(value))
        for name, output in templates[area].get("Outputs", {}).items():
            reference = json.dumps({"Fn::GetAtt": [resource, f"Outputs.{name}"]})
            texts["Api"] = texts["Api"].replace(reference, json.dumps(output["Value"]))
    return {name: json.loads(text) for name, text in texts.items()}


@pytest.fixture(scope="session")
def dev() -> Synthesized:
    return synthesize("dev")


@pytest.fixture(scope="session")
def prod() -> Synthesized:
    return synthesize("prod")


@pytest.fixture(scope="session")
def dev_in_areas() -> Synthesized:
    """On Aurora and with mail, with two areas of functions that have none in truth: what clients call, and what a queue does.

    The audit reads from the replica, which no function may in truth: it repairs what it finds.
    """
    areas = {"customer": "customers", "seed": "seeding"}
    functions = [
        replace(
            function,
            area=next((area for word, area in areas.items() if word in function.name), function.area),
            reads_replica=function.name == "audit_totals",
        )
        for function in load_functions()
    ]
    return synthesize_with(functions, "dev", database="aurora", mail_from="Shop <orders@shop.example.com>")


@pytest.fixture(scope="session")
def prod_with_more() -> Synthesized:
    """With forty more functions in two areas, dev's own in one of them, and an audit that may read from a replica.

    Of the forty, 20 are what clients call and 20 are workers, which have more alarms.
    """
    functions = [
        replace(
            function,
            stages=("dev", "prod"),
            area=function.area if "prod" in function.stages else "even",
            reads_replica=function.name == "audit_totals",
        )
        for function in load_functions()
    ]
    [model] = [function for function in functions if function.name == "list_events"]
    [(worker, queue)] = [(f, f.queue) for f in functions if f.name == "run_seed_chunk" and f.queue is not None]
    more = [
        clone
        for number in range(20)
        for area in ["odd" if number % 2 else "even"]
        for clone in (
            replace(model, name=f"more_{number}", area=area, routes=(replace(model.routes[0], path=f"/api/more/{number}"),)),
            replace(worker, name=f"work_{number}", area=area, queue=replace(queue, name=f"work{number}")),
        )
    ]
    return synthesize_with([*functions, *more], "prod")


def synthesize_with(functions: list[Function], stage: str, **context: str) -> Synthesized:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cdk.app.load_functions", lambda: functions)
        return synthesize(stage, **context)


@pytest.fixture(scope="session")
def dev_on_aurora() -> Synthesized:
    return synthesize("dev", database="aurora")


@pytest.fixture(scope="session")
def prod_on_aurora() -> Synthesized:
    return synthesize("prod", database="aurora")


@pytest.fixture(scope="session")
def named() -> Synthesized:
    """Production under a name of its own."""
    return synthesize("prod", domain=DOMAIN, hosted_zone=ZONE)


@pytest.fixture(params=["prod", "prod_on_aurora"])
def production(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized


@pytest.fixture(params=["dev", "prod", "dev_in_areas", "dev_on_aurora", "prod_on_aurora"])
def stage(request: pytest.FixtureRequest) -> Synthesized:
    synthesized: Synthesized = request.getfixturevalue(request.param)
    return synthesized
