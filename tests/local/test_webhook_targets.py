"""Where webhooks go and where they do not, with names that are really resolved and addresses that really answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.functions import ROOT
from tests.internet import RESOLVER

PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:4700:4700::1111"
# Loopback, private, link-local and metadata, shared, reserved, multicast; mapped, translated (NAT64) and tunnelled to IPv4.
PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1", "::", "::1", "fe80::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::",
    "2001:db8::1", "100::1", "3fff::1",
]  # fmt: skip
REBINDING = [[PUBLIC], ["169.254.169.254"]]
# Every address is this machine's there. Files are mounted, since a resolver cannot be told its port.
BOX = (
    "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo && "
    'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf && '
)


def in_a_box(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n")
    (folder / "nsswitch.conf").write_text("hosts: dns\n")
    unshare = ["unshare", "--map-root-user", "--net", "--mount", "--", "sh", "-c", BOX + command, str(folder), *arguments]
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    return subprocess.run(unshare, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def answers_of(address: str) -> list[tuple[str, list[str]]]:
    return [("only", [address]), ("beside", [PUBLIC, address])]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As tests/internet.py prints it."""
    folder = tmp_path_factory.mktemp("box")
    if os.environ.get("CI") != "true" and (not shutil.which("unshare") or in_a_box(folder, "true").returncode):
        pytest.skip("Namespaces of networks are not available here, or ip is not (Debian package iproute2)")
    names = {"public": [[PUBLIC]], "public-6": [[PUBLIC_6]], "rebinding": REBINDING, "nobody": [[]]}
    names |= {f"{alone}{place}": [answer] for place, address in enumerate(PRIVATE) for alone, answer in answers_of(address)}
    given = json.dumps({f"{name}.example.com": answers for name, answers in names.items()})
    done = in_a_box(folder, 'exec "$1" -m tests.internet "$2"', sys.executable, given)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "reports": {name.partition(".")[0]: each for name, each in found["reports"].items()}}


def test_a_name_with_a_public_address_is_delivered_to(seen: dict[str, Any]) -> None:
    assert seen["reports"]["public"] == seen["reports"]["public-6"] == [[204, None]]
    assert seen["reports"]["nobody"] == [[None, "No answer: the name of the host could not be resolved"]]


@pytest.mark.parametrize("place", range(len(PRIVATE)), ids=PRIVATE)
def test_a_name_with_an_address_that_is_not_public_is_not_delivered_to(seen: dict[str, Any], place: int) -> None:
    """Also if it has a public one beside it."""
    for name, _ in answers_of(PRIVATE[place]):
        [[status_code, error]] = seen["reports"][f"{name}{place}"]
        assert (status_code, "is no public address" in (error or "")) == (None, True), error


def test_a_name_that_changes_its_answer_leads_to_the_address_that_was_checked(seen: dict[str, Any]) -> None:
    """Each attempt resolves it once."""
    first, second = seen["reports"]["rebinding"]
    assert first == [204, None]
    assert second == [None, "Not sent: 169.254.169.254 is no public address"]
    assert seen["asked"]["rebinding.example.com"] == 2


def test_nobody_else_was_even_connected_to(seen: dict[str, Any]) -> None:
    """All of them would have answered."""
    assert sorted(seen["connected"]) == sorted([PUBLIC, PUBLIC, PUBLIC_6])
