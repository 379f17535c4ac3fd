"""What CDK would upload, unpacked as in Lambda: code, layers and variables of every function in the template."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdk.layers import SHARED_LAYERS, Target, packages_of

# This machine instead of arm64: the same code builds the layers for another platform.
HERE = Target(platform=None, python="{}.{}".format(*sys.version_info))
# What CDK appends to a logical id.
HASH_LENGTH = 8
BUILDERS = {**SHARED_LAYERS, "mail": packages_of("mail")}


@dataclass(frozen=True)
class Unpacked:
    """task: what Lambda mounts as /var/task. opt: what it mounts as /opt. environment: as in the template, resolved."""

    name: str
    handler: str
    task: Path
    opt: Path
    environment: dict[str, str]


class Assembly:
    """The templates of one stage.

    values: stand-ins for attributes of resources, by (type, attribute) or, of one among several, (its logical id without the
    hash, attribute).
    """

    def __init__(self, folder: Path, stage: str, values: dict[tuple[str, str], str]) -> None:
        self.folder = folder
        self.values = values
        self.stacks = {
            part: json.loads((folder / f"Orders-{stage}-{part}.template.json").read_text()) for part in ("Data", "Api")
        }
        self.names = {part: f"Orders-{stage}-{part}" for part in self.stacks}
        self.assets = json.loads((folder / f"Orders-{stage}-Api.assets.json").read_text())["files"]
        resources = self.stacks["Api"]["Resources"]
        for nested in [resource for resource in resources.values() if resource["Type"] == "AWS::CloudFormation::Stack"]:
            resources.update(self._nested(nested["Properties"]))

    def _nested(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The resources of a nested stack, with what it gets from the stack around it in their places."""
        reference = properties["TemplateURL"]["Fn::Join"][1][-1].strip("/").removesuffix(".json")
        text = json.dumps(json.loads((self.folder / self.assets[reference]["source"]["path"]).read_text())["Resources"])
        for name, value in properties.get("Parameters", {}).items():
            text = text.replace(json.dumps({"Ref": name}), json.dumps(value))
        resources: dict[str, Any] = json.loads(text)
        return resources

    def functions(self) -> dict[str, dict[str, Any]]:
        """Our functions' properties by name; CDK's own functions have another handler."""
        found = {}
        for resource in self.stacks["Api"]["Resources"].values():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::Lambda::Function" and "Layers" in properties:
                found[properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]] = properties
        return found

    def unpack(self, name: str, properties: dict[str, Any], folder: Path, layers: Path) -> Unpacked:
        """layers: where they are cached, built and combined, for the next function with the same ones."""
        task = folder / name / "task"
        shutil.copytree(self.asset(properties["Code"]), task)
        opt = self._together([reference["Ref"] for reference in properties.get("Layers", [])], layers)
        environment = {key: self.resolve(value) for key, value in properties["Environment"]["Variables"].items()}
        return Unpacked(name, properties["Handler"], task, opt, environment)

    def asset(self, code: dict[str, Any]) -> Path:
        return self.folder / str(self.assets[code["S3Key"].partition(".")[0]]["source"]["path"])

    def resolve(self, value: Any, part: str = "Api") -> str:
        """A property's value with its references resolved across the stacks. Raises KeyError for a dangling one."""
        if isinstance(value, str):
            return value
        [(function, argument)] = value.items()
        if function == "Fn::ImportValue":
            exports = {
                output["Export"]["Name"]: output["Value"]
                for output in self.stacks["Data"]["Outputs"].values()
                if "Export" in output
            }
            return self.resolve(exports[argument], "Data")
        if function == "Fn::Join":
            between, parts = argument
            return str(between).join(self.resolve(each, part) for each in parts)
        if function == "Ref" and argument.startswith("AWS::"):
            # Of the account and the region, which nothing here depends on.
            return str(argument.removeprefix("AWS::")).lower()
        if function == "Ref":
            return self._value(part, argument, "Ref")
        if function == "Fn::GetAtt":
            return self._value(part, *argument)
        raise KeyError(f"{function} of {argument}")

    def _value(self, part: str, logical_id: str, attribute: str) -> str:
        kind = self.stacks[part]["Resources"][logical_id]["Type"]
        own = (logical_id[:-HASH_LENGTH], attribute)
        return self.values[own if own in self.values else (kind, attribute)]

    def _together(self, references: list[str], layers: Path) -> Path:
        """The content of /opt, which is only read."""
        opt = layers / "-".join(["opt", *references])
        if not opt.exists():
            opt.mkdir(parents=True)
            for reference in references:
                assert self.stacks["Api"]["Resources"][reference]["Type"] == "AWS::Lambda::LayerVersion"
                shutil.copytree(self._built(reference, layers), opt, dirs_exist_ok=True)
        return opt

    def _built(self, layer: str, layers: Path) -> Path:
        """The layer of this logical id, built for this machine."""
        name = next(name for name in BUILDERS if name in layer.lower())
        if not (layers / name).exists():
            BUILDERS[name](layers / name, HERE)
        return layers / name
