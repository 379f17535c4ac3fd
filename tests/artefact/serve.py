"""The laptop cloud with what CDK packaged instead of the sources in functions/, each function in a world like Lambda's.

`python -m tests.artefact.serve ASSEMBLY [faulty]`. In the function's world /var/task, /opt and /var/runtime are what Lambda
mounts there, and nothing else but the standard library can be imported. The database is reached as in the cloud: TLS that is
verified, IAM tokens that are checked, and a transaction pooler (PgBouncer) in place of RDS Proxy. DATABASE_URL has to name
an RdsServer (tests/rds.py).
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3

from contract.functions import Function, camel_case
from drill.servers import PgBouncer
from local.__main__ import serve, settings
from local.cloud import CannotStart, Cloud
from local.console import Console
from local.runtime import Launch, lambda_environment
from local.sqs import BUCKET
from tests.artefact.assembly import Assembly, Unpacked
from tests.rds import IamDoor, members_of_rds_iam, socket_of

LOGIN_ROLES = ("orders_app", "orders_seeder", "orders_auditor", "orders_relay", "orders_exporter")
# What Lambda's own Python includes: its bootstrap, and boto3 with its dependencies.
RUNTIME_PACKAGES = (
    "awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py",
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py",
)  # fmt: skip
PROXY_PORT, INSTANCE_PORT = "5432", "6432"
# The functions sign their tokens with these, and the doors check them.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local"}

# What can be wrong with a function's package, each with another function.
FAULTS: dict[str, Callable[[dict[str, Any], dict[str, dict[str, Any]]], Any]] = {
    "list_orders": lambda missing_dependency, _: missing_dependency["Layers"].pop(),
    "list_customers": lambda misspelt_handler, _: misspelt_handler.update(Handler="handler.handle"),
    "summarize_orders": lambda missing_variable, _: missing_variable["Environment"]["Variables"].pop("DATABASE_HOST"),
    "create_customer": lambda missing_right, _: missing_right["Environment"]["Variables"].update(DATABASE_USER="orders_seeder"),
    "list_events": lambda missing_file, functions: missing_file.update(Code=functions["get_health"]["Code"]),
}


class World:
    """The servers and folders around the unpacked functions."""

    def __init__(self, folder: Path, assembly: Path, *, faulty: bool) -> None:
        self.folder = folder
        self.assembly_folder = assembly
        self.faulty = faulty
        self.unpacked: dict[str, Unpacked] = {}
        self.pooler: PgBouncer | None = None
        self.certificate = _certificate(folder)
        self.runtime = _runtime(assembly / "runtime")
        self.ports: dict[str, int] = {}
        # Functions are started from several tasks of one loop and from threads of its executor.
        self.lock = threading.Lock()
        self.cloud: Cloud

    def launch(self, function: Function, _: dict[str, str]) -> Launch:
        """Without the variables that the laptop would set."""
        with self.lock:
            if not self.unpacked:
                self._unpack()
        unpacked = self.unpacked[function.name]
        environment = {
            **lambda_environment(function, Path("/var/task")),
            **unpacked.environment,
            "AWS_ENDPOINT_URL": self.aws,
            # Links to files are made without boto3, which knows the one above.
            "AWS_ENDPOINT_URL_S3": self.aws,
            "AWS_SESSION_TOKEN": CREDENTIALS["AWS_SESSION_TOKEN"],
            "PYTHONPATH": "/var/task:/opt/python:/var/runtime",
        }
        if "DATABASE_PORT" in environment:
            environment["DATABASE_PORT"] = str(self.ports[environment["DATABASE_PORT"]])
        mounts = [f"mount -t tmpfs none {top}" for top in ("/opt", "/var")]
        mounts += ["mkdir /var/task /var/runtime"]
        mounts += [
            f"mount --bind '{source}' {target}"
            for source, target in ((unpacked.task, "/var/task"), (unpacked.opt, "/opt"), (self.runtime, "/var/runtime"))
        ]
        # -S excludes this interpreter's packages. Without -E, PYTHONPATH is Lambda's.
        script = " && ".join([*mounts, "cd /var/task", f"exec '{sys.executable}' -S -m awslambdaric {unpacked.handler}"])
        root = [] if os.geteuid() == 0 else ["--map-root-user"]
        return Launch(["unshare", *root, "--mount", "--", "sh", "-c", script], Path("/"), environment)

    def stop(self) -> None:
        if self.pooler is not None:
            self.pooler.__exit__()

    def _unpack(self) -> None:
        queues = self.cloud.queue
        assert queues is not None
        self.aws = queues.endpoint
        server = self.cloud.database
        self.pooler = self._pooler()
        proxy = IamDoor(self.pooler.port, by_token=lambda user: True, certificate=self.certificate)
        instance = IamDoor(socket_of(server), server.port, members_of_rds_iam(server), self.certificate)
        self.ports = {PROXY_PORT: proxy.port, INSTANCE_PORT: instance.port}
        values = {
            ("AWS::RDS::DBProxy", "Endpoint"): "localhost",
            ("AWS::RDS::DBInstance", "Endpoint.Address"): "localhost",
            ("AWS::RDS::DBInstance", "DbiResourceId"): "db-ARTEFACT",
            **{(f"{camel_case(name)}Queue", "Ref"): url for name, url in queues.urls.items()},
            ("AWS::S3::Bucket", "Ref"): BUCKET,
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint"): self.cloud.url,
            ("AWS::Cognito::UserPool", "ProviderURL"): "https://issuer.example.com",
            ("AWS::Cognito::UserPoolClient", "Ref"): "console",
        }
        assembly = Assembly(self.assembly_folder, "dev", values)
        functions = assembly.functions()
        for name, fault in FAULTS.items() if self.faulty else ():
            fault(functions[name], functions)
        for name, properties in functions.items():
            self.unpacked[name] = assembly.unpack(name, properties, self.folder / "functions", self.assembly_folder / "layers")
        # The servers' certificate is ours here; that the files exist where the variables say is still tested.
        for unpacked in self.unpacked.values():
            for roots in (unpacked.task / "rds-ca.pem", unpacked.opt / "python" / "orders" / "amazon-roots.pem"):
                if roots.exists():
                    roots.write_text(roots.read_text() + self.certificate.read_text())

    def _pooler(self) -> PgBouncer:
        """Stands in for RDS Proxy behind its door: it knows the functions' roles, and PostgreSQL trusts it."""
        folder = self.folder / "proxy"
        folder.mkdir()
        server = self.cloud.database
        return PgBouncer(
            folder, server, dict.fromkeys(LOGIN_ROLES, ""), socket_folder=Path(socket_of(server)).parent, pool_size=4
        )


class ArtefactCloud(Cloud):
    """Also invokes the functions without clients: a scheduled one would otherwise wait for its hour."""

    async def start(self) -> None:
        await super().start()
        for function in self.functions.values():
            if function.definition.schedule is not None and not function.definition.schedule.at_start:
                result = await function.invoke({})
                if result.failed:
                    raise CannotStart(f"{function.definition.name} failed")
                self.console.line(function.definition.name, json.dumps(result.json))


def _certificate(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / "localhost.pem"
    options = [
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    files = ["-keyout", str(certificate.with_suffix(".key")), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *options, *files], check=True, capture_output=True)
    return certificate


def _runtime(folder: Path) -> Path:
    """Built once per assembly, as it is the same for all of its deployments."""
    if folder.exists():
        return folder
    folder.mkdir()
    packages = Path(boto3.__file__).parent.parent
    for pattern in RUNTIME_PACKAGES:
        for source in packages.glob(pattern):
            shutil.copytree(source, folder / source.name) if source.is_dir() else shutil.copy(source, folder)
    return folder


def main() -> None:
    assembly, faulty = Path(sys.argv[1]), "faulty" in sys.argv[2:]
    os.environ.update(CREDENTIALS)
    chosen = settings()
    world = World(chosen.folder / "world", assembly, faulty=faulty)
    cloud = ArtefactCloud(replace(chosen, launch=world.launch), Console())
    world.cloud = cloud
    try:
        asyncio.run(serve(cloud))
    except Exception as reason:
        sys.exit(str(reason))
    finally:
        world.stop()


if __name__ == "__main__":
    main()
