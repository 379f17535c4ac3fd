"""Fetches packages from npm, pinned by hash: the console's libraries, which are committed, and what its tests use.

`python -m contract.vendor` writes the committed files; `--check` only tells whether they are what npm has (exit status 1 if
not).
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from contract.functions import FUNCTIONS, ROOT

VENDOR = FUNCTIONS / "get_console" / "assets" / "vendor"
CACHE = ROOT / ".venv" / "npm"


@dataclass(frozen=True)
class Package:
    """integrity: of its archive, as npm writes it. files: where a file of the package goes in VENDOR."""

    name: str
    version: str
    integrity: str
    files: dict[str, str] = field(default_factory=dict)


PREACT = Package(
    "preact",
    "11.2.0",
    "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
    {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js", "LICENSE": "preact.LICENSE"},
)
HTM = Package(
    "htm",
    "3.1.1",
    "sha512-983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
    {"dist/htm.mjs": "htm.js", "LICENSE": "htm.LICENSE"},
)
# For the tests only.
AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
COMMITTED = (PREACT, HTM)


def fetch(package: Package) -> Path:
    """The folder of the unpacked package. Raises ValueError if npm's archive is not the one that was pinned."""
    digest = package.integrity.removeprefix("sha512-")
    folder = CACHE / f"{package.name}-{package.version}-{base64.b64decode(digest).hex()[:12]}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        # The wheel's npm runs on the wheel's Node.js.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        npm = shutil.which("npm", path=path) or "npm"
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=scratch, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
        [archive] = Path(scratch).glob("*.tgz")
        if hashlib.sha512(archive.read_bytes()).digest() != base64.b64decode(digest):
            raise ValueError(f"npm's archive of {package.name} {package.version} is not the one that was pinned")
        with tarfile.open(archive) as opened:
            # Python before 3.11.4 has no filters.
            opened.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            opened.extractall(scratch)  # noqa: S202 - pinned by its hash
        (Path(scratch) / "package").replace(folder)
    return folder


def outdated(vendor: Path = VENDOR) -> dict[Path, bytes]:
    """What the committed files should be, for those that are not."""
    wanted = {
        vendor / target: (fetch(package) / source).read_bytes()
        for package in COMMITTED
        for source, target in package.files.items()
    }
    return {file: content for file, content in wanted.items() if not file.exists() or file.read_bytes() != content}


def main() -> None:
    found = outdated()
    if "--check" in sys.argv[1:]:
        for file in found:
            print(f"{file.name} is not what npm has; run `python -m contract.vendor`")
        sys.exit(bool(found))
    for file, content in found.items():
        file.write_bytes(content)
        print(f"wrote {file.name}")


if __name__ == "__main__":
    main()
