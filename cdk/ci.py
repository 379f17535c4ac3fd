"""Who may deploy: GitHub Actions of one repository, by OIDC. GitHub stores no credentials that could be stolen.

Deployed once per account, with the account's credentials: `make ci GITHUB=OWNER@ID/REPOSITORY@ID`.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.settings import STAGES

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
BRANCH = "refs/heads/main"
# The roles of the stage's bootstrap stack: these deploy, with the permissions that they were given.
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "lookup")
# Longer than the first deployment to production, which creates a database in two zones, and than any later canary.
SESSION_HOURS = 4


class CiStack(cdk.Stack):
    def __init__(self, scope: Construct, construct_id: str, repository: str, **options: Any) -> None:
        """repository: as GitHub names it in tokens; docs/operations.md tells which have ids, and where to find them."""
        super().__init__(scope, construct_id, **options)
        provider = iam.OidcProviderNative(self, "GitHub", url=ISSUER, client_ids=[AUDIENCE])
        for stage, settings in STAGES.items():
            # Only this environment of this repository, for which GitHub asks for approval, and only main.
            claims = {"sub": f"repo:{repository}:environment:{stage}", "aud": AUDIENCE, "ref": BRANCH}
            issued_by_github = {f"{ISSUER.removeprefix('https://')}:{name}": value for name, value in claims.items()}
            principal = iam.WebIdentityPrincipal(provider.oidc_provider_arn, {"StringEquals": issued_by_github})
            session = cdk.Duration.hours(SESSION_HOURS)
            role = iam.Role(self, stage.capitalize(), assumed_by=principal, max_session_duration=session)
            # The copies of backups are in another region.
            places = [f"{self.account}-{region}" for region in [self.region, *filter(None, [settings.backup_region])]]
            names = [f"cdk-{settings.qualifier}-{name}-role-{place}" for place in places for name in BOOTSTRAP_ROLES]
            arns = [f"arn:{self.partition}:iam::{self.account}:role/{name}" for name in names]
            role.add_to_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=arns))
            # What `make deploy` looks up before it starts; these actions support no resource-level permissions.
            asked = ["rds:DescribeDBEngineVersions", "rds:DescribeOrderableDBInstanceOptions"]
            role.add_to_policy(iam.PolicyStatement(actions=asked, resources=["*"]))
            stack = f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:stack/Orders-{stage}-Data/*"
            role.add_to_policy(iam.PolicyStatement(actions=["cloudformation:ListStackResources"], resources=[stack]))
            cdk.CfnOutput(self, f"{stage.capitalize()}RoleArn", value=role.role_arn)
