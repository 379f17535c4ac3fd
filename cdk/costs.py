"""Generates the tables of docs/costs.md from docs/prices.toml and from what the templates deploy.

`python -m cdk.costs` writes them; `--check` only tells whether they are up to date (exit status 1 if not).
"""

import os
import re
import sys
import tomllib
from dataclasses import dataclass
from typing import Any

# The library's own validation runs in `make synth`; here it would only take time.
os.environ["CDK_VALIDATION"] = "false"

from aws_cdk.assertions import Template

from cdk.app import build, stacks_of
from cdk.settings import DATABASES, STAGES
from contract.functions import ROOT, Function, load_functions
from contract.openapi import load_handler

COSTS, PRICES = ROOT / "docs" / "costs.md", ROOT / "docs" / "prices.toml"
TABLE = re.compile(r"(<!-- costs: (\w+), made by `make costs` -->\n).*?(<!-- /costs -->)", re.DOTALL)
HOURS = 730
LOADS = {"1 / s": 1, "10 / s": 10, "1,000 / s": 1000}

Resources = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """what: shown to the reader. price: its name in prices.toml. quantity: in units of that price."""

    what: str
    price: str
    quantity: float


class Prices:
    def __init__(self, table: dict[str, Any]) -> None:
        self.table = table
        self.dollars = {name: float(price["dollars"]) for name, price in table["prices"].items()}

    def of(self, line: Line) -> float:
        return self.dollars[line.price] * line.quantity

    def total(self, lines: list[Line]) -> float:
        return sum(map(self.of, lines))


def idle(resources: Resources, prices: Prices) -> list[Line]:
    """What the stage costs per month without any request."""

    def properties(kind: str) -> list[dict[str, Any]]:
        return [resource["Properties"] for resource in resources.values() if resource["Type"] == kind]

    rules = [rule for plan in properties("AWS::Backup::BackupPlan") for rule in plan["BackupPlan"]["BackupPlanRule"]]
    instances = properties("AWS::RDS::DBInstance")
    clusters = properties("AWS::RDS::DBCluster")
    database = _aurora(clusters[0], instances, rules, prices) if clusters else _rds(instances[0], rules, prices)
    zones = sum(len(e["SubnetIds"]) for e in properties("AWS::EC2::VPCEndpoint") if e["VpcEndpointType"] == "Interface")
    alarms = properties("AWS::CloudWatch::Alarm")
    machines = [c for c in properties("AWS::Cognito::UserPoolClient") if "client_credentials" in c.get("AllowedOAuthFlows", [])]
    own = {(a["Namespace"], a["MetricName"]) for a in alarms if a.get("Namespace", "AWS/").startswith("Orders")}
    return [
        *database,
        Line("enhanced monitoring, its log", "log ingestion", sum(_monitoring_gb(one, prices) for one in instances)),
        Line("interface endpoints, by zones", "interface endpoint", HOURS * zones),
        Line(f"{len(alarms)} alarms, by metrics", "alarm", sum(map(_metrics_read, alarms))),
        Line("metrics of our own", "own metric", len(own)),
        Line("dashboard", "dashboard", len(properties("AWS::CloudWatch::Dashboard"))),
        Line("Cognito, a machine's client", "Cognito machine client", len(machines)),
        Line("Cognito, its tokens, one per hour", "Cognito machine tokens", len(machines) * HOURS / 1000),
        *health_check(),
        *relay(next(f for f in load_functions() if f.name == "relay_outbox")),
    ]


def _rds(instance: dict[str, Any], rules: list[dict[str, Any]], prices: Prices) -> list[Line]:
    copies = 2 if instance["MultiAZ"] else 1
    kind, storage = instance["DBInstanceClass"], int(instance["AllocatedStorage"])
    return [
        Line(f"database, {kind}, {_times(copies, 'zone')}", f"RDS {kind}", HOURS * copies),
        Line(f"storage, {storage} GB, {_times(copies, 'zone')}", "RDS gp3", storage * copies),
        *backups(rules, storage, prices),
        Line("RDS Proxy, by the instance's vCPUs", "RDS Proxy", HOURS * prices.table["vcpus"][kind]),
    ]


def _aurora(
    cluster: dict[str, Any], instances: list[dict[str, Any]], rules: list[dict[str, Any]], prices: Prices
) -> list[Line]:
    """With the least capacity, which both instances keep when nobody calls, and as much data as RDS has storage for."""
    units = float(cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"])
    storage = STAGES[cluster["DBClusterIdentifier"].split("-")[1]].storage_gb
    billed_by_proxy = max(units * len(instances), prices.table["aurora"]["proxy_least_units"])
    return [
        Line(f"database, {units:g} ACU, {_times(len(instances), 'instance')}", "Aurora ACU", HOURS * units * len(instances)),
        Line(f"storage, {storage} GB, once for all zones", "Aurora storage", storage),
        *backups(rules, storage, prices, "Aurora backup storage"),
        Line("RDS Proxy, by the cluster's ACUs", "RDS Proxy for Aurora", HOURS * billed_by_proxy),
    ]


def backups(rules: list[dict[str, Any]], storage_gb: int, prices: Prices, price: str = "RDS backup storage") -> list[Line]:
    """Assumes full storage: RDS stores as much for free in its own region, and each snapshot adds what has changed."""
    changed_gb = storage_gb * prices.table["backups"]["changed_percent_per_day"] / 100
    lines = []
    for rule in rules:
        kept_gb = changed_gb * rule["Lifecycle"]["DeleteAfterDays"]
        lines.append(Line("AWS Backup, snapshots beyond the free size", price, kept_gb))
        for copy in rule.get("CopyActions", []):
            copied_gb = storage_gb + changed_gb * copy["Lifecycle"]["DeleteAfterDays"]
            lines.append(Line("AWS Backup, copies in another region", price, copied_gb))
            lines.append(Line("AWS Backup, transfer to that region", "data to another region", changed_gb * HOURS / 24))
    return lines


def health_check() -> list[Line]:
    """Once per minute through the gateway: one function asks, another answers."""
    millions = HOURS * 60 / 1_000_000
    return [
        Line("health check, requests", "HTTP API", millions),
        Line("health check, invocations", "Lambda requests", 2 * millions),
        # X-Ray samples the first request of each second, hence all of these.
        Line("health check, traces", "X-Ray", 2 * millions),
    ]


def relay(function: Function) -> list[Line]:
    """Runs for most of every minute, whether there is anything to send or not."""
    seconds = function.timeout_seconds - load_handler(function.name).SECONDS_TO_FINISH
    runs, gigabytes = HOURS * 60, function.memory_mb / 1024
    return [
        Line(f"relay, {seconds} s of {gigabytes:g} GB per minute", "Lambda time", runs * seconds * gigabytes),
        Line("relay, invocations", "Lambda requests", runs / 1_000_000),
        Line("relay, traces", "X-Ray", runs / 1_000_000),
    ]


def request(prices: Prices) -> list[Line]:
    """A million average requests."""
    average = prices.table["request"]
    gb_seconds = average["function_ms"] / 1000 * average["memory_gb"] * 1_000_000
    return [
        Line("HTTP API", "HTTP API", 1),
        Line("Lambda, requests", "Lambda requests", 1),
        Line(f"Lambda, {average['function_ms']} ms of {average['memory_gb']} GB", "Lambda time", gb_seconds),
        Line(f"logs, {average['log_bytes']} bytes each", "log ingestion", average["log_bytes"] / 1000),
        Line(f"X-Ray, {average['traced_percent']} % of them", "X-Ray", average["traced_percent"] / 100),
        Line(f"data out, {average['bytes_out']} bytes each", "data out", average["bytes_out"] / 1000),
    ]


def mail(prices: Prices) -> list[Line]:
    """A thousand mails."""
    average = prices.table["mail"]
    gb_seconds = average["function_ms"] / 1000 * average["memory_gb"] * 1000
    return [
        Line("SES", "SES", 1),
        Line("Lambda, requests", "Lambda requests", 2 * 1000 / 1_000_000),
        Line(f"Lambda, {average['function_ms']} ms of {average['memory_gb']} GB", "Lambda time", gb_seconds),
    ]


def _monitoring_gb(instance: dict[str, Any], prices: Prices) -> float:
    samples = HOURS * 3600 / int(instance["MonitoringInterval"])
    return samples * int(prices.table["monitoring"]["sample_bytes"]) / 1e9


def _metrics_read(alarm: dict[str, Any]) -> int:
    return max(1, sum("MetricStat" in metric for metric in alarm.get("Metrics", [])))


def _times(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _resources(stage: str, database: str) -> Resources:
    app = build({"stage": stage, "database": database, "aws:cdk:bundling-stacks": []})
    return {
        f"{part}/{name}": resource
        for part, stack in stacks_of(app).items()
        for name, resource in Template.from_stack(stack).to_json()["Resources"].items()
    }


def _bill(lines: list[Line], prices: Prices, unit: str) -> str:
    rows = [
        f"| {line.what} | {line.quantity:,.4g} × {prices.dollars[line.price]:.7g} | {prices.of(line):,.2f} |"
        for line in lines
        if line.quantity
    ]
    return "\n".join(
        [
            f"| what | how much × price | {unit} |",
            "|---|---|---|",
            *rows,
            f"| **together** | | **{prices.total(lines):,.2f}** |",
        ]
    )


def _loads(standing: float, per_million: float) -> str:
    rows = ["| steady load | requests per month | their price | production with them |", "|---|---|---|---|"]
    for name, per_second in LOADS.items():
        millions = per_second * HOURS * 3600 / 1_000_000
        price = millions * per_million
        rows.append(f"| {name} | {millions:,.1f} million | {price:,.0f} | {standing + price:,.0f} |")
    return "\n".join(rows)


def _price_list(prices: Prices) -> str:
    rows = ["| price | dollars | per | as of | source |", "|---|---|---|---|---|"]
    for name, price in prices.table["prices"].items():
        source = "**from memory**" if price["source"] == "memory" else price["source"]
        rows.append(f"| {name} | {price['dollars']:.7g} | {price['per']} | {price['as_of']} | {source} |")
    return "\n".join(rows)


def tables() -> dict[str, str]:
    """What stands between the markers of docs/costs.md, by their names."""
    prices = Prices(tomllib.loads(PRICES.read_text(encoding="utf-8")))
    bills = {(stage, database): idle(_resources(stage, database), prices) for stage in STAGES for database in DATABASES}
    requests = request(prices)
    return {
        **{f"{stage}_{database}": _bill(lines, prices, "per month") for (stage, database), lines in bills.items()},
        "requests": _bill(requests, prices, "per million"),
        "mails": _bill(mail(prices), prices, "per 1,000"),
        "loads": _loads(prices.total(bills["prod", "rds"]), prices.total(requests)),
        "prices": _price_list(prices),
    }


def main() -> None:
    made = tables()
    before = COSTS.read_text(encoding="utf-8")
    after = TABLE.sub(lambda found: f"{found[1]}{made[found[2]]}\n{found[3]}", before)
    if "--check" not in sys.argv[1:]:
        COSTS.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit("docs/costs.md is not up to date; run `make costs`")


if __name__ == "__main__":
    main()
