"""`make deploy` first checks that the region offers what the stage needs: a refusal then takes seconds and no rollback.

`python -m cdk.preflight stage=prod -c postgres=17 …` takes the stage and the CLI's own context options.
"""

import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cdk.settings import POSTGRES_VERSIONS, Settings, from_context

# The newest version seen in AWS's list of regions and engine versions for RDS Proxy. No API call tells.
NEWEST_CONFIRMED_BEHIND_PROXY = 17


def problems(rds: Any, region: str, settings: Settings) -> list[str]:
    """Sentences that say what is missing and what to do. rds: boto3's client. Raises what boto3 raises."""
    offered = _versions(rds)
    newest = offered.get(settings.postgres)
    if newest is None:
        choices = [version for version in POSTGRES_VERSIONS if version in offered]
        advice = f"deploy with -c postgres={choices[-1]}" if choices else "choose another region"
        return [f"{region} does not offer PostgreSQL {settings.postgres} (only {', '.join(offered) or 'none'}): {advice}."]
    found = []
    if not _orderable(rds, newest, settings):
        found.append(
            f"{region} has no db.{settings.instance_type} for PostgreSQL {newest} with gp3 storage and IAM authentication"
            f"{', in two zones' if settings.multi_az else ''}: choose another instance_type in cdk/settings.py."
        )
    if settings.backup_region == region:
        found.append(f"Backups would be copied within {region}: name another region with -c backup_region=….")
    return found


def warnings(settings: Settings) -> list[str]:
    if int(settings.postgres) <= NEWEST_CONFIRMED_BEHIND_PROXY or settings.restored:
        return []
    newest = NEWEST_CONFIRMED_BEHIND_PROXY
    sentence = (
        f"No API tells whether RDS Proxy supports PostgreSQL {settings.postgres}. Should the deployment of a new stage fail at "
        f"DBProxyTargetGroup: destroy it and deploy with -c postgres={newest}."
    )
    return [sentence]


def _versions(rds: Any) -> dict[str, str]:
    """Major version → its newest minor version, oldest first."""
    pages = rds.get_paginator("describe_db_engine_versions").paginate(Engine="postgres")
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


def context(arguments: list[str]) -> dict[str, str]:
    """name=value pairs among the CLI's arguments."""
    return dict(argument.split("=", 1) for argument in arguments if "=" in argument and not argument.startswith("-"))


def main() -> None:
    try:
        settings = from_context(context(sys.argv[1:]))
        session = boto3.Session()
        if session.region_name is None:
            sys.exit("Name the region: AWS_REGION=… make deploy")
        found = problems(session.client("rds"), session.region_name, settings)
    except ClientError as reason:
        if reason.response["Error"]["Code"] != "AccessDenied":
            sys.exit(f"Nothing was deployed. {reason}")
        # Permission to deploy does not imply permission to look.
        print(f"What the region offers was not checked: {reason}")
        return
    except (ValueError, BotoCoreError) as reason:
        sys.exit(f"Nothing was deployed. {reason}")
    for warning in warnings(settings):
        print(warning)
    if found:
        sys.exit("\n".join(["Nothing was deployed.", *found]))


if __name__ == "__main__":
    main()
