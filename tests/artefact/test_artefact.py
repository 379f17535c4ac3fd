"""What `cdk deploy` would upload really runs: every function, from the assembly alone, under Lambda's own runtime client."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from cdk.app import build
from contract.functions import load_functions
from contract.smoke import Client, Surprise, walk, walk_seeding
from drill.laptop import Laptop
from drill.servers import wait_until
from tests.artefact.serve import FAULTS
from tests.rds import RdsServer
from tests.tools import has_namespaces, missing

needs_namespaces = pytest.mark.skipif(
    not has_namespaces() or "pgbouncer" in missing(), reason="Linux user namespaces or PgBouncer are not available"
)


SENDER = "orders@shop.example.com"


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assembly")
    build({"stage": "dev", "mail_from": SENDER, "aws:cdk:bundling-stacks": []}, str(folder)).synth()
    return folder


@pytest.fixture(scope="module")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RdsServer]:
    with RdsServer(tmp_path_factory.mktemp("rds")) as server:
        yield server


def serve(folder: Path, assembly: Path, rds: RdsServer, *options: str) -> Laptop:
    """A deployment to a database that may have seen others before."""
    server = rds.server
    url = f"postgresql://{server.user}:{quote(server.password)}@{server.host}:{server.port}/{server.database}"
    return Laptop(folder, module=("tests.artefact.serve", str(assembly), *options), DATABASE_URL=url, MAIL_FROM=SENDER)


def spoken(laptop: Laptop) -> set[str]:
    """The functions that have logged a line."""
    return set(re.findall(r"(\w+) │", laptop.output))


@needs_namespaces
def test_every_function_runs_from_what_would_be_uploaded_and_each_role_after_the_next_deployment(
    assembly: Path, tmp_path: Path, rds: RdsServer
) -> None:
    """The second deployment's migration logs in as a master user whom the first has made a member of rds_iam.

    What it may have spoilt is rights, so that it needs a function of each role, and not all of them again.
    """
    role_of = {function.name: function.database_user for function in load_functions()}
    with serve(tmp_path / "first", assembly, rds) as laptop:
        walk(Client(laptop.url, None), seeding=True)
        wait_until(lambda: spoken(laptop) >= role_of.keys(), "An invocation of every function")
        assert "Traceback" not in laptop.output
        assert '{"answered": true}' in laptop.output
    # The next one then has something to change, as if its release came with other versions of these files.
    rds.sql("DELETE FROM schema_migrations WHERE name = 'roles.sql' OR name LIKE 'current/%'")
    with serve(tmp_path / "second", assembly, rds) as laptop:
        client = Client(laptop.url, None)
        client.ask(202, "POST", "/api/exports/", {"kind": "customers", "format": "csv"})
        walk_seeding(client)
        roles = set(role_of.values())
        wait_until(lambda: {role_of[name] for name in spoken(laptop) & role_of.keys()} >= roles, "An invocation by every role")
        assert "Traceback" not in laptop.output


@needs_namespaces
def test_a_broken_artefact_is_noticed(assembly: Path, tmp_path: Path, rds: RdsServer) -> None:
    """Requests as in a walk, which expects what a sound function answers."""
    requests = {
        "list_orders": (200, "GET", "/api/orders/", None),
        "list_customers": (200, "GET", "/api/customers/", None),
        "summarize_orders": (200, "GET", "/api/orders/summary/", None),
        "create_customer": (201, "POST", "/api/customers/", {"email": "artefact@example.com", "name": "Artefact"}),
        "list_events": (200, "GET", "/api/events/", None),
    }
    assert requests.keys() == FAULTS.keys()
    with serve(tmp_path, assembly, rds, "faulty") as laptop:
        client = Client(laptop.url, None)
        client.ask(200, "GET", "/api/webhooks/")
        for request in requests.values():
            with pytest.raises(Surprise, match=r"answered (404|50[03])"):
                client.ask(*request)
