"""The layers, built without Docker: our own package, and third-party wheels, pinned by hash, for the functions' platform.

Every function has two of them; further ones hold what a single function needs.

Bytecode is compiled here once instead of in every cold start: assets are mounted read-only, so Lambda could not keep it. It
names its sources by hash instead of time, because all files of an asset have the same time.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from contract.functions import ROOT

PYTHON = "3.13"
RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE = lambda_.Architecture.ARM_64
# uv's name for Lambda's arm64 platform: the glibc of Amazon Linux 2023 is newer than what any of our wheels needs.
DEPLOYED = "aarch64-manylinux_2_28"
LAYERS = ROOT / "layers"
# Installers' own records; they differ between builds, and nothing reads them in Lambda.
INSTALLERS_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "uv_build.json", "uv_cache.json", "direct_url.json")


@dataclass(frozen=True)
class Target:
    """What a layer is built for. platform: uv's name for it, or None for this machine."""

    platform: str | None = DEPLOYED
    python: str = PYTHON


Build = Callable[[Path, Target], None]


def build_orders(folder: Path, target: Target) -> None:
    """Our own package, as /opt/python/orders."""
    source = LAYERS / "orders" / "python"
    shutil.copytree(source, folder / "python", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    compile_bytecode(folder, target)


def packages_of(name: str) -> Build:
    """Builds the layer of the wheels that layers/<name> locks."""
    return partial(build_packages, name)


def build_packages(name: str, folder: Path, target: Target) -> None:
    """The locked wheels, each verified against its hash."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    command = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--system-certs",
        "--no-config",
        "--target",
        str(folder / "python"),
        "--python-version",
        target.python,
    ]
    command += [
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--requirement",
        str(LAYERS / name / "requirements.txt"),
    ]
    if target.platform:
        command += ["--python-platform", target.platform]
    subprocess.run(command, check=True)
    for note in [file for name in INSTALLERS_NOTES for file in folder.rglob(f"*.dist-info/{name}")]:
        note.unlink()
    for unused in ("bin", ".lock"):
        path = folder / "python" / unused
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    compile_bytecode(folder, target)


SHARED_LAYERS: dict[str, Build] = {"orders": build_orders, "dependencies": packages_of("dependencies")}


def compile_bytecode(folder: Path, target: Target) -> None:
    """Needs exactly the functions' minor version of Python; without bytecode the layer works, but starts more slowly."""
    python = interpreter(target.python)
    if python is None:
        print(f"Python {target.python} was not found: layers contain no bytecode, and cold starts take longer", file=sys.stderr)
        return
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/opt"]
    subprocess.run([python, "-m", "compileall", *options, str(folder / "python")], check=True, env={"PYTHONHASHSEED": "0"})


def interpreter(version: str) -> str | None:
    if "{}.{}".format(*sys.version_info) == version:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return found
    return None


@jsii.implements(cdk.ILocalBundling)
class _Build:
    def __init__(self, build: Build) -> None:
        self.build = build

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        self.build(Path(output_dir), Target())
        return True


def layer(scope: Construct, name: str, build: Build) -> lambda_.LayerVersion:
    """A layer whose asset changes when its folder does."""
    bundling = cdk.BundlingOptions(image=RUNTIME.bundling_image, local=_Build(build))
    return lambda_.LayerVersion(
        scope,
        f"{name.capitalize()}Layer",
        # The layer contains openapi.json as a link to the one at the top; changing that must create a new version.
        code=lambda_.Code.from_asset(
            str(LAYERS / name),
            bundling=bundling,
            exclude=["**/__pycache__"],
            follow_symlinks=cdk.SymlinkFollowMode.ALWAYS,
        ),
        compatible_runtimes=[RUNTIME],
        compatible_architectures=[ARCHITECTURE],
    )
