"""The software bill of materials of what is deployed, as CycloneDX: `make sbom` writes sbom.cdx.json.

The layers' Python packages, as their requirements pin them, and the console's, which are committed. Lambda brings its runtime
and boto3.
"""

import base64
import json
import os
import re
import subprocess
from typing import Any

from contract.functions import ROOT
from contract.vendor import COMMITTED, Package

LAYERS = ROOT / "layers"
BOM = ROOT / "sbom.cdx.json"
# Installed for this run only.
CYCLONEDX = ("uv", "tool", "run", "--system-certs", "--from", "cyclonedx-bom@7.5.0", "cyclonedx-py")


def requirements() -> str:
    """Of all layers."""
    return "".join(file.read_text(encoding="utf-8") for file in sorted(LAYERS.glob("*/requirements.txt")))


def of_npm(package: Package) -> dict[str, Any]:
    digest = base64.b64decode(package.integrity.removeprefix("sha512-")).hex()
    purl = f"pkg:npm/{package.name}@{package.version}"
    return {
        "bom-ref": purl,
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-512", "content": digest}],
    }


def pinned(requirements: str) -> set[str]:
    return {f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", requirements, re.MULTILINE)}


def complete(document: dict[str, Any], requirements: str) -> dict[str, Any]:
    """With the packages of npm. Raises ValueError if a pinned package is missing, or one is there that is not pinned."""
    purls = {component["purl"] for component in document["components"]}
    if differing := purls ^ pinned(requirements):
        raise ValueError(f"the requirements and the bill of materials differ in {', '.join(sorted(differing))}")
    document["components"] += [of_npm(package) for package in COMMITTED]
    return document


def main() -> None:
    made = subprocess.run(  # noqa: S603 - no input
        [*CYCLONEDX, "requirements", "-", "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"],
        check=True,
        input=requirements().encode(),
        stdout=subprocess.PIPE,
        # It wants to know what depends on what, which requirements do not say.
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    document = complete(json.loads(made.stdout), requirements())
    BOM.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"{BOM.name}: {len(document['components'])} components")


if __name__ == "__main__":
    main()
