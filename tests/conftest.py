"""One PostgreSQL, SQS server and laptop cloud for the whole run; every test, and every file of the laptop's, begins empty."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress

import boto3
import pytest
from moto.server import ThreadedMotoServer
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from contract.edge import leases
from contract.functions import load_functions
from drill.laptop import Laptop
from local import moto_fixes
from local.postgres import DATABASE, OWNER, EmbeddedPostgres, Server
from local.sqs import ONCE
from orders.queues import url_variable
from tests.harness import Clients, Database, Service, empty_queues
from tests.oldest import OldestPostgres

OWN_FOLDER = pytest.StashKey[str]()
PASSED = pytest.StashKey[bool]()
WORKERS = [function for function in load_functions() if function.queue is not None]

# Whole folders that one process runs, because it makes once for all of them what takes longest.
TOGETHER = ("tests/cdk/",)
# Each takes a minute, so that they would be what the other processes wait for in the end.
FIRST = ("tests/cdk/", "tests/tutorials/", "tests/local/test_console.py", "tests/budgets/", "tests/clients/", "tests/local/")

# Settings only come from the fixtures, never from the developer's shell.
os.environ.update(
    {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "EXPORTS_BUCKET": "exports-of-the-tests",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "Orders",
        "POWERTOOLS_SERVICE_NAME": "test",
        "QUEUE_MAX_RECEIVES": "3",
        "QUEUE_LEASES": leases(WORKERS),
        **{url_variable(worker.queue.name): "-" for worker in WORKERS if worker.queue is not None},
        "SEED_MAX_UNFINISHED_ROWS": "50000000",
        "STAGE": "test",
    }
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Each run has its own temporary folder: all runs of a user share pytest's, and each run deletes old files there."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="orders-tests-")
        config.stash[OWN_FOLDER] = config.option.basetemp


def pytest_xdist_auto_num_workers() -> int:
    """One more than processors, as a process often waits for another; beyond four, each costs more than it brings."""
    return min(4, (os.cpu_count() or 1) + 1)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((turn for turn, place in enumerate(FIRST) if item.nodeid.startswith(place)), len(FIRST)))


def pytest_collection_finish() -> None:
    """What is there by now stays until the end: looking through it for garbage takes a tenth of each process's time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[PASSED] = exitstatus == pytest.ExitCode.OK


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keeps the folder if a test has failed."""
    if OWN_FOLDER in config.stash and config.stash.get(PASSED, False):
        shutil.rmtree(config.stash[OWN_FOLDER], ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    kind = OldestPostgres if os.environ.get("POSTGRES") == "oldest" else EmbeddedPostgres
    # Nothing has to survive this machine, and each setting saves files from being written. Tests of plans say themselves when
    # tables are analyzed.
    settings = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off"}
    server = kind(tmp_path_factory.mktemp("postgres"), **settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqs() -> Iterator[str]:
    moto_fixes.apply()
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL_SQS"] = os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{host}:{port}"
    region = {"LocationConstraint": os.environ["AWS_REGION"]}
    s3 = boto3.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=os.environ["EXPORTS_BUCKET"], CreateBucketConfiguration=region)
    for worker in WORKERS:
        assert worker.queue is not None
        name, kind = f"{worker.queue.name}{worker.queue.suffix}", ONCE if worker.queue.once else {}
        url = boto3.client("sqs").create_queue(QueueName=name, Attributes=kind)["QueueUrl"]
        os.environ[url_variable(worker.queue.name)] = url
    yield os.environ["AWS_ENDPOINT_URL_SQS"]
    server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres, sqs: str) -> Iterator[Database]:
    database = Database.create(postgres.server, "tests")
    os.environ.update(database.environment)
    Service().invoke("migrate_database", {})
    yield database
    database.connection.close()


@pytest.fixture
def db(migrated: Database) -> Database:
    """The database behind `service`, empty, accessed as its owner. The queues are empty, too."""
    migrated.empty()
    empty_queues()
    return migrated


@pytest.fixture(scope="session")
def functions(migrated: Database) -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def service(functions: Service, db: Database) -> Service:
    return functions


@pytest.fixture(scope="session")
def clients(migrated: Database) -> Iterator[Clients]:
    clients = Clients(8)
    yield clients
    clients.pool.shutdown()


@pytest.fixture(scope="session")
def running_laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with Laptop(tmp_path_factory.mktemp("laptop")) as laptop:
        yield laptop


@pytest.fixture(scope="session")
def running_guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with Laptop(tmp_path_factory.mktemp("guarded"), AUTH="on") as laptop:
        yield laptop


@pytest.fixture(scope="module")
def laptop(running_laptop: Laptop) -> Laptop:
    """The laptop cloud, empty. It may be warm from another file, since starting it and its functions takes longest."""
    return emptied(running_laptop)


@pytest.fixture(scope="module")
def guarded(running_guarded: Laptop) -> Laptop:
    """A laptop cloud that wants tokens, empty."""
    return emptied(running_guarded)


def emptied(laptop: Laptop) -> Laptop:
    folder = laptop.folder / "postgres"
    port, password = int((folder / "port").read_text()), (folder / "password").read_text()
    database = Database(Server("127.0.0.1", port, DATABASE, OWNER, password))
    # If what the former file has left to the workers is in the way, they give way, whose work comes again.
    database.sql("SET deadlock_timeout = '1min'")
    database.empty()
    database.connection.close()
    return laptop
