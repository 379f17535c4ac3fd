"""Installs programs that the tests need and PyPI does not have: PgBouncer, curl, Valgrind, Chromium and others.

`python -m tests.tools`, run by `make test`. If it cannot install them, it says what will be skipped; in CI it fails.
"""

import os
import shutil
import subprocess
import sys

from drill.clock import libfaketime
from tests.oldest import oldest

# Program → Debian package.
TOOLS = {
    "pgbouncer": "pgbouncer",
    "curl": "curl",
    "valgrind": "valgrind",
    "chromedriver": "chromium-driver",
    # For the network of a worker that is tried with names of an internet of its own.
    "ip": "iproute2",
}


def chromium() -> str | None:
    """Without what shows windows it takes a sixth less of the processor."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def has_namespaces() -> bool:
    """Namespaces give an unpacked function its own /var/task and /opt."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode == 0


def missing() -> dict[str, str]:
    # Debian does not put servers on an ordinary user's PATH.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    found = {tool: package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)}
    if chromium() is None:
        found["chromium"] = "chromium-headless-shell"
    if oldest() is None:
        found["a PostgreSQL of the distribution"] = "postgresql"
    if libfaketime() is None:
        found["libfaketime, for a clock that jumps,"] = "libfaketime"
    return found


def main() -> None:
    if missing() and shutil.which("apt-get") and os.geteuid() == 0:
        print(f"Installing {', '.join(missing().values())} for the tests")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # A started service would occupy a port; the tests start their own.
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-qq", "--no-install-recommends", *missing().values()],
        ):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    for tool, package in missing().items():
        print(f"{tool} is not installed (Debian package {package}): the tests that need it are skipped")
    if not has_namespaces():
        print("Linux user namespaces are not available: the tests of the deployment artefact are skipped")
    sys.exit((bool(missing()) or not has_namespaces()) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    main()
