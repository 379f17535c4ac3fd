"""Who may deploy: GitHub Actions of one repository, by OIDC. Nothing is stored there that could be stolen.

Once for an account: `npx aws-cdk@2.1148.1 deploy OrdersCi -c github=OWNER/REPOSITORY`.
"""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.settings import STAGES

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# What the CDK's bootstrap stack made; deploying is done by those, with the rights they were given.
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "image-publishing", "lookup")
ENVIRONMENTS = ("dev", "prod")


class CiStack(cdk.Stack):
    def __init__(self, scope: Construct, construct_id: str, repository: str, **options: Any) -> None:
        """repository: OWNER/REPOSITORY on GitHub."""
        super().__init__(scope, construct_id, **options)
        provider = iam.OidcProviderNative(self, "GitHub", url=ISSUER, client_ids=[AUDIENCE])
        qualifier = cdk.DefaultStackSynthesizer.DEFAULT_QUALIFIER
        for environment in ENVIRONMENTS:
            # Exactly this environment of exactly this repository: GitHub asks for its approval before it issues the token.
            subject = f"repo:{repository}:environment:{environment}"
            claims = {
                f"{ISSUER.removeprefix('https://')}:{name}": value for name, value in (("sub", subject), ("aud", AUDIENCE))
            }
            principal = iam.WebIdentityPrincipal(provider.oidc_provider_arn, {"StringEquals": claims})
            role = iam.Role(self, environment.capitalize(), assumed_by=principal, max_session_duration=cdk.Duration.hours(1))
            # The copies of backups are in another region.
            regions = [self.region, *filter(None, [STAGES[environment].backup_region])]
            names = [f"cdk-{qualifier}-{name}-role-{self.account}-{region}" for region in regions for name in BOOTSTRAP_ROLES]
            arns = [f"arn:{self.partition}:iam::{self.account}:role/{name}" for name in names]
            role.add_to_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=arns))
            # What `make deploy` asks before it begins; these calls take no resource.
            asked = ["rds:DescribeDBEngineVersions", "rds:DescribeOrderableDBInstanceOptions"]
            role.add_to_policy(iam.PolicyStatement(actions=asked, resources=["*"]))
            cdk.CfnOutput(self, f"{environment.capitalize()}RoleArn", value=role.role_arn)
