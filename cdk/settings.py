"""What differs between stages, and what an operator may choose (`-c name=value`)."""

import re
from dataclasses import dataclass, replace
from typing import Any

from contract.edge import METRICS_NAMESPACE

RUNBOOK = "https://github.com/OWNER/REPOSITORY/blob/main/docs/operations.md"
# RDS reserves three connections for its own administration.
RESERVED_CONNECTIONS = 3
# The tests pass on the oldest and the newest of these.
POSTGRES_VERSIONS = ("15", "16", "17", "18")

DATABASES = ("rds", "aurora")
AURORA_ENGINE, AURORA_CLASS = "aurora-postgresql", "db.serverless"
ZONES = 2
MOVE = "A live stage moves to Aurora as docs/operations.md describes under From RDS to Aurora."


@dataclass(frozen=True)
class Restored:
    """An instance, or a cluster of Aurora, that was made of the stack's database and has taken its place."""

    identifier: str
    resource_id: str
    endpoint: str

    @property
    def is_cluster(self) -> bool:
        return self.resource_id.startswith("cluster-")


@dataclass(frozen=True)
class PublicName:
    """Where clients find the service. hosted_zone: the id of the Route 53 zone that holds the name."""

    domain: str
    hosted_zone: str


@dataclass(frozen=True)
class Settings:
    """protect: nothing that holds data can be deleted by accident, and deployments shift traffic in steps."""

    stage: str
    protect: bool
    multi_az: bool
    instance_type: str
    storage_gb: int
    # Set explicitly, so that its alarm's threshold is known and can be reached.
    max_connections: int
    # Aurora's capacity units, of about 2 GB of memory each, per instance. Anything from 0.5 to 256 in steps of a half.
    aurora_min_capacity: float
    aurora_max_capacity: float
    # The proxy's share of the instance's connections; the rest is for migrations and people.
    proxy_connections_percent: int
    backup_days: int
    log_days: int
    requests_per_second: int
    burst: int
    # Per open route: anybody may call it, so it has its own limit and cannot exhaust everybody's.
    open_requests_per_second: int
    open_burst: int
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    public_name: PublicName | None = None
    # How people sign in at that issuer; without these three, the console asks for a token.
    jwt_console_client: str | None = None
    jwt_authorize_url: str | None = None
    jwt_token_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    alarm_email: str | None = None
    runbook: str = RUNBOOK
    # Shifts traffic at once and ignores firing alarms, for when the deployment itself fixes their cause.
    all_at_once: bool = False
    # The stage was created by the first edition, whose master user had a password in Secrets Manager.
    first_edition: bool = False
    postgres: str = POSTGRES_VERSIONS[-1]
    # What the stack makes: an instance of RDS or a cluster of Aurora.
    database: str = DATABASES[0]
    restored: Restored | None = None
    # The region that AWS Backup copies snapshots to; None: no snapshots.
    backup_region: str | None = None
    # In all seed runs together; a single run may create as many.
    seed_max_unfinished_rows: int = 50_000_000
    # Whom mails to customers are from; without it none are sent.
    mail_from: str | None = None

    @property
    def qualifier(self) -> str:
        """The stage's own bootstrap stack: permission to deploy one stage does not allow deploying the other."""
        return f"orders{self.stage}"

    @property
    def metrics_namespace(self) -> str:
        """One per stage, as two stages in one account would otherwise be mistaken for each other."""
        return f"{METRICS_NAMESPACE}-{self.stage}"

    @property
    def most_storage_gb(self) -> int:
        """RDS's storage grows up to here. Aurora's has no such limit, but an alarm."""
        return self.storage_gb * 5

    @property
    def proxy_connections(self) -> int:
        return self.max_connections * self.proxy_connections_percent // 100


STAGES = {
    "dev": Settings(
        stage="dev",
        protect=False,
        multi_az=False,
        instance_type="t4g.micro",
        storage_gb=20,
        max_connections=80,
        aurora_min_capacity=0.5,
        aurora_max_capacity=4,
        proxy_connections_percent=80,
        backup_days=1,
        log_days=14,
        requests_per_second=50,
        burst=100,
        open_requests_per_second=10,
        open_burst=20,
    ),
    "prod": Settings(
        stage="prod",
        protect=True,
        multi_az=True,
        instance_type="m8g.large",
        storage_gb=100,
        max_connections=400,
        aurora_min_capacity=2,
        aurora_max_capacity=32,
        proxy_connections_percent=90,
        backup_days=14,
        log_days=90,
        requests_per_second=1000,
        burst=2000,
        backup_region="eu-west-1",
        open_requests_per_second=20,
        open_burst=40,
    ),
}


def from_context(context: dict[str, Any]) -> Settings:
    """The stage's settings with the operator's choices. Raises ValueError for an invalid choice."""
    stage = context.get("stage") or "dev"
    if stage not in STAGES:
        raise ValueError(f"There is no stage {stage!r}; choose one of {', '.join(STAGES)}")
    issuer, audience = context.get("jwt_issuer"), context.get("jwt_audience")
    if bool(issuer) != bool(audience):
        raise ValueError("An external issuer needs both: -c jwt_issuer=https://… -c jwt_audience=…")
    people = [context.get(name) or None for name in ("jwt_console_client", "jwt_authorize_url", "jwt_token_url")]
    if any(people) and not (issuer and all(people)):
        raise ValueError("To sign people in, an external issuer needs jwt_console_client, jwt_authorize_url and jwt_token_url")
    postgres = str(context.get("postgres") or POSTGRES_VERSIONS[-1])
    if postgres not in POSTGRES_VERSIONS:
        raise ValueError(f"The service is not tested on PostgreSQL {postgres!r}; choose one of {', '.join(POSTGRES_VERSIONS)}")
    database = str(context.get("database") or DATABASES[0])
    if database not in DATABASES:
        raise ValueError(f"There is no database {database!r}; choose one of {', '.join(DATABASES)}")
    first_edition = str(context.get("first_edition", "")).lower() == "true"
    restored = _restored(context.get("restored"))
    if database == "aurora" and restored and not restored.is_cluster:
        raise ValueError("A stage on Aurora is restored into a cluster, whose resource id begins with cluster-")
    if database == "aurora" and first_edition:
        raise ValueError(f"The first edition had no Aurora. {MOVE}")
    unfinished_rows = str(context.get("seed_max_unfinished_rows") or STAGES[stage].seed_max_unfinished_rows)
    if not unfinished_rows.isdecimal():
        raise ValueError(f"seed_max_unfinished_rows must be a number, not {unfinished_rows!r}")
    origins = [origin.strip() for origin in str(context.get("cors_origins") or "").split(",")]
    return replace(
        STAGES[stage],
        jwt_issuer=issuer,
        jwt_audience=audience,
        public_name=_public_name(context.get("domain"), context.get("hosted_zone")),
        jwt_console_client=people[0],
        jwt_authorize_url=people[1],
        jwt_token_url=people[2],
        cors_origins=tuple(origin for origin in origins if origin),
        alarm_email=context.get("alarm_email"),
        runbook=context.get("runbook") or RUNBOOK,
        all_at_once=str(context.get("all_at_once", "")).lower() == "true",
        first_edition=first_edition,
        postgres=postgres,
        database=database,
        restored=restored,
        backup_region=_backup_region(STAGES[stage], context.get("backup_region")),
        seed_max_unfinished_rows=int(unfinished_rows),
        mail_from=_mail_from(context.get("mail_from")),
    )


def _public_name(domain: str | None, hosted_zone: str | None) -> PublicName | None:
    if not domain and not hosted_zone:
        return None
    if not domain or not hosted_zone:
        raise ValueError("A domain needs its Route 53 zone: -c domain=orders.example.com -c hosted_zone=Z0123456789ABC")
    if not re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", domain):
        raise ValueError(f"{domain!r} is not the name of a host in lower case: -c domain=orders.example.com")
    if not re.fullmatch(r"Z[A-Z0-9]+", hosted_zone):
        raise ValueError(f"{hosted_zone!r} is not the id of a hosted zone: -c hosted_zone=Z0123456789ABC")
    return PublicName(domain, hosted_zone)


def _mail_from(value: str | None) -> str | None:
    if value and not re.fullmatch(r"([\w .'-]+ <)?[\w.+-]+@([a-z0-9-]+\.)+[a-z]{2,}(?(1)>)", value, re.ASCII):
        raise ValueError(f"{value!r} is not a sender: -c mail_from='Shop <orders@example.com>', or only the address")
    return value or None


def _restored(value: str | None) -> Restored | None:
    if not value:
        return None
    parts = re.fullmatch(r"([a-z][a-z0-9-]*),((?:db|cluster)-[A-Z0-9]+),([a-z0-9.-]+)", str(value))
    if parts is None:
        raise ValueError("A restored database takes three values: -c restored=IDENTIFIER,RESOURCE_ID,ENDPOINT")
    return Restored(*parts.groups())


def _backup_region(stage: Settings, value: str | None) -> str | None:
    """Only a stage that protects its data has backups in addition to RDS's own."""
    if not value or not stage.protect:
        return stage.backup_region
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", value):
        raise ValueError(f"{value!r} is not a region to copy backups to: -c backup_region=eu-west-1")
    return value
