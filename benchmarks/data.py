"""The data of a run: the real schema, seeded by the service itself, then skewed as real orders are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.progress import Progress
from benchmarks.seeding import ORDERS_PER_CUSTOMER, ROWS_PER_CUSTOMER, Seeder
from benchmarks.workers import OURS
from local.postgres import EmbeddedPostgres, Server

PASSWORD = "password-of-the-benchmark"
RARE_ORDERS = 20
RARE_DOMAIN = "rare.example.net"
ROLES = ("orders_app", "orders_seeder")

# Old orders have been delivered, and every fourth came from another system. No trigger is needed: totals only depend on which
# orders are cancelled, and that stays.
SKEW = f"""
SET session_replication_role = replica;
UPDATE orders SET status = 'delivered' WHERE status = 'shipped' OR status = 'pending' AND id > (
    SELECT max(id) FROM (SELECT id FROM orders WHERE status = 'pending' ORDER BY id LIMIT {RARE_ORDERS}) AS kept);
UPDATE customers SET email = replace(email, 'example.com', '{RARE_DOMAIN}') WHERE id % (SELECT max(id) / 3 FROM customers) = 1;
UPDATE orders SET reference = 'PO-' || id, metadata = '{{"channel": "web", "campaign": "spring"}}' WHERE id % 4 = 0;
RESET session_replication_role;
"""
MAKE_CANCELLABLE = "UPDATE orders SET status = 'paid' WHERE id BETWEEN :first AND :last AND status <> 'paid'"
BOUNDS = """
SELECT min(o.id), max(o.id), (SELECT min(id) FROM customers), (SELECT max(id) FROM customers) FROM orders AS o
"""


@dataclass
class Data:
    """orders, customers: the lowest and the highest id. cancellable: consecutive ids of paid orders, each yielded once."""

    server: Server
    size: int
    orders: tuple[int, int]
    customers: tuple[int, int]
    cancellable: Iterator[int]
    address: str
    rare_domain: str = RARE_DOMAIN
    common_status: str = "delivered"
    rare_status: str = "pending"
    absent_status: str = "shipped"


def variables(server: Server, role: str = "orders_app") -> dict[str, str]:
    """The variables by which a worker connects as one of the service's roles."""
    return {**server.environment, "DATABASE_USER": role, "DATABASE_PASSWORD": PASSWORD}


def ask_for_passwords(postgres: EmbeddedPostgres) -> None:
    """As RDS Proxy does, which takes an IAM token for a password: no function on AWS computes what SCRAM asks for."""
    (postgres.folder / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 password\n")
    connection = postgres.server.connect()
    connection.run("SELECT pg_reload_conf()")
    connection.close()


def migrate(server: Server, log: Path) -> None:
    worker = OURS.start({**server.environment, "DATABASE_ROLE_PASSWORD": PASSWORD}, log, "migrate_database")
    worker.call({"function": "migrate_database", "event": {}})
    worker.stop()
    connection = server.connect()
    for role in ROLES:
        # The slowest peers need more time than the service allows.
        connection.run(f"ALTER ROLE {role} SET statement_timeout = 0")
    connection.close()


def prepare(server: Server, size: int, cancellable: int, log: Path, progress: Progress) -> Data:
    """size: number of orders. cancellable: how many of them the run may cancel."""
    migrate(server, log)
    customers = size // ORDERS_PER_CUSTOMER
    progress.say(f"seeding {customers * ROWS_PER_CUSTOMER:,} rows")
    seeder = Seeder(variables(server, "orders_seeder"), log)
    for _ in seeder.seed(customers):
        progress.move()
    seeder.stop()
    progress.say("skewing, VACUUM ANALYZE")
    connection = server.connect(timeout=3600)
    connection.run(SKEW)
    [[first, last, first_customer, last_customer]] = connection.run(BOUNDS)
    # In the middle, so that the newest orders keep their mix of statuses.
    start = first + size // 2
    connection.run(MAKE_CANCELLABLE, first=start, last=start + cancellable - 1)
    connection.run("VACUUM ANALYZE")
    connection.run("CHECKPOINT")
    [[address]] = connection.run("SELECT email FROM customers WHERE id = :id", id=(first_customer + last_customer) // 2)
    connection.close()
    orders = range(start, start + cancellable)
    return Data(server, size, (first, last), (first_customer, last_customer), iter(orders), address)
