"""`make deploy` first checks that the region offers what the stage needs, and that it has no database of the other engine.

A refusal then takes seconds and no rollback.

`python -m cdk.preflight stage=prod -c postgres=17 …` takes the stage and the CLI's own context options.
"""

import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cdk.settings import AURORA_CLASS, AURORA_ENGINE, MOVE, POSTGRES_VERSIONS, ZONES, Settings, from_context

# The newest version seen in AWS's list of regions and engine versions for RDS Proxy. No API call tells.
NEWEST_CONFIRMED_BEHIND_PROXY = 17


def problems(rds: Any, region: str, settings: Settings) -> list[str]:
    """Sentences that say what is missing and what to do. rds: boto3's client. Raises what boto3 raises."""
    aurora = settings.database == "aurora"
    product = "Aurora PostgreSQL" if aurora else "PostgreSQL"
    offered = _versions(rds, AURORA_ENGINE if aurora else "postgres")
    newest = offered.get(settings.postgres)
    if newest is None:
        choices = [version for version in POSTGRES_VERSIONS if version in offered]
        advice = f"deploy with -c postgres={choices[-1]}" if choices else "choose another region"
        return [f"{region} does not offer {product} {settings.postgres} (only {', '.join(offered) or 'none'}): {advice}."]
    found = []
    if aurora and not _orderable_in_two_zones(rds, newest):
        found.append(
            f"{region} has no {AURORA_CLASS} for {product} {newest} with IAM authentication in two zones: "
            "choose another region."
        )
    if not aurora and not _orderable(rds, newest, settings):
        found.append(
            f"{region} has no db.{settings.instance_type} for {product} {newest} with gp3 storage and IAM authentication"
            f"{', in two zones' if settings.multi_az else ''}: choose another instance_type in cdk/settings.py."
        )
    if settings.backup_region == region:
        found.append(f"Backups would be copied within {region}: name another region with -c backup_region=….")
    return found


def replaces_database(cloudformation: Any, settings: Settings) -> list[str]:
    """A sentence if the live stage's stack holds a database of the other engine. cloudformation: boto3's client."""
    try:
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=f"Orders-{settings.stage}-Data")
        kinds = {
            resource["ResourceType"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
        }
    except ClientError as reason:
        if "does not exist" in str(reason):
            return []
        raise
    live = "aurora" if "AWS::RDS::DBCluster" in kinds else "rds" if "AWS::RDS::DBInstance" in kinds else None
    if live in (None, settings.database):
        return []
    remedy = MOVE if live == "rds" else "Deploy it with -c database=aurora."
    return [f"The database of {settings.stage} is made with -c database={live}; this deployment would replace it. {remedy}"]


def warnings(settings: Settings) -> list[str]:
    if int(settings.postgres) <= NEWEST_CONFIRMED_BEHIND_PROXY or settings.restored:
        return []
    newest = NEWEST_CONFIRMED_BEHIND_PROXY
    sentence = (
        f"No API tells whether RDS Proxy supports PostgreSQL {settings.postgres}. Should the deployment of a new stage fail at "
        f"DBProxyTargetGroup: destroy it and deploy with -c postgres={newest}."
    )
    return [sentence]


def _versions(rds: Any, engine: str) -> dict[str, str]:
    """Major version → its newest minor version, oldest first."""
    pages = rds.get_paginator("describe_db_engine_versions").paginate(Engine=engine)
    versions = [version["EngineVersion"] for page in pages for version in page["DBEngineVersions"]]
    versions.sort(key=lambda version: [int(part) for part in version.split("-")[0].split(".")])
    return {version.partition(".")[0]: version for version in versions}


def _orderable(rds: Any, version: str, settings: Settings) -> bool:
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine="postgres", EngineVersion=version, DBInstanceClass=f"db.{settings.instance_type}", Vpc=True
    )
    return any(
        option["StorageType"] == "gp3"
        and option["SupportsIAMDatabaseAuthentication"]
        and (option["MultiAZCapable"] or not settings.multi_az)
        for page in pages
        for option in page["OrderableDBInstanceOptions"]
    )


def _orderable_in_two_zones(rds: Any, version: str) -> bool:
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine=AURORA_ENGINE, EngineVersion=version, DBInstanceClass=AURORA_CLASS, Vpc=True
    )
    return any(
        option["SupportsIAMDatabaseAuthentication"] and len(option["AvailabilityZones"]) >= ZONES
        for page in pages
        for option in page["OrderableDBInstanceOptions"]
    )


def context(arguments: list[str]) -> dict[str, str]:
    """name=value pairs among the CLI's arguments."""
    return dict(argument.split("=", 1) for argument in arguments if "=" in argument and not argument.startswith("-"))


def allowed(check: Callable[[], list[str]]) -> list[str]:
    """What the check finds; nothing, and a line that says so, if it may not look: permission to deploy does not imply that."""
    try:
        return check()
    except ClientError as reason:
        if reason.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
            raise
        print(f"Not checked: {reason}")
        return []


def main() -> None:
    try:
        settings = from_context(context(sys.argv[1:]))
        session = boto3.Session()
        region = session.region_name
        if region is None:
            sys.exit("Name the region: AWS_REGION=… make deploy")
        found = allowed(lambda: replaces_database(session.client("cloudformation"), settings))
        found += allowed(lambda: problems(session.client("rds"), region, settings))
    except (ValueError, BotoCoreError, ClientError) as reason:
        sys.exit(f"Nothing was deployed. {reason}")
    for warning in warnings(settings):
        print(warning)
    if found:
        sys.exit("\n".join(["Nothing was deployed.", *found]))


if __name__ == "__main__":
    main()
