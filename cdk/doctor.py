"""What a stage's AWS account and region lack, for `make doctor`. Nothing is changed, and nothing is required to be there.

`python -m cdk.doctor stage=dev` prints a JSON list per finding: kind, what, remedy.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cdk.preflight import allowed, context, problems, replaces_database, warnings
from cdk.settings import Settings, from_context

# CDK's own minimum.
LEAST_BOOTSTRAP = 6
# kind, what, remedy
Found = tuple[str, str, str]


def examine(arguments: list[str]) -> Iterator[Found]:
    """arguments: name=value as for `make deploy`."""
    try:
        settings = from_context(context(arguments))
    except ValueError as reason:
        yield "problem", f"{reason}.", "docs/configuration.md lists the choices of a deployment."
        return
    session = boto3.Session()
    try:
        if session.get_credentials() is None:
            log_in = "To deploy, log in (aws configure sso, aws sso login) and name the profile: AWS_PROFILE=… make doctor"
            yield "note", "There are no AWS credentials, so nothing of AWS was examined.", log_in
            return
        if session.region_name is None:
            yield "problem", "No AWS region is chosen.", "AWS_REGION=eu-central-1 make doctor"
            return
        account = session.client("sts").get_caller_identity()["Account"]
        yield "ok", f"AWS account {account} in {session.region_name}.", ""
        for region in filter(None, [session.region_name, settings.backup_region]):
            yield from bootstrap(session.client("ssm", region_name=region), region, settings)
        yield from region_offers(session.client("cloudformation"), session.client("rds"), session.region_name, settings)
    except ClientError as reason:
        yield "problem", f"AWS refuses: {reason}.", "Log in again (aws sso login), or see which profile AWS_PROFILE names."
    except BotoCoreError as reason:
        yield "problem", f"AWS cannot be asked: {reason}.", "Check the network and HTTPS_PROXY, AWS_REGION and AWS_PROFILE."


def bootstrap(ssm: Any, region: str, settings: Settings) -> Iterator[Found]:
    """Whether the stage's own bootstrap stack is in the region, and new enough. ssm: boto3's client."""
    command = f"AWS_REGION={region} make bootstrap STAGE={settings.stage}"
    try:
        version = int(ssm.get_parameter(Name=f"/cdk-bootstrap/{settings.qualifier}/version")["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        yield "problem", f"{region} is not bootstrapped for {settings.stage}.", command
        return
    if version < LEAST_BOOTSTRAP:
        yield "problem", f"{region} was bootstrapped for {settings.stage} with version {version}, which is too old.", command
    else:
        yield "ok", f"{region} is bootstrapped for {settings.stage}.", ""


def region_offers(cloudformation: Any, rds: Any, region: str, settings: Settings) -> Iterator[Found]:
    """What `make deploy` would refuse, and what it would warn of."""
    refused = allowed(lambda: replaces_database(cloudformation, settings))
    refused += allowed(lambda: problems(rds, region, settings))
    for sentence in refused:
        what, _, remedy = sentence.partition(": ")
        yield "problem", f"{what}.", remedy
    for sentence in warnings(settings):
        yield "note", sentence, ""
    if not refused:
        yield "ok", f"{region} offers what {settings.stage} needs.", ""


def main() -> None:
    for found in examine(sys.argv[1:]):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
