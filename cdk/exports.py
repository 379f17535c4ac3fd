"""The bucket of exports: private, encrypted, reached by TLS only, and emptied by itself."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

# As long as their documents say; S3 counts whole days from the next midnight on.
KEEP_DAYS = 7
ABORT_DAYS = 1
READ_ACTIONS = ["s3:GetObject"]
WRITE_ACTIONS = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:DeleteObject"]


class Exports(Construct):
    """Nothing in it is worth keeping longer than the stage: whoever needs an export asks for another one."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(KEEP_DAYS),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(ABORT_DAYS),
                )
            ],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )

    def statement(self, actions: list[str]) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=actions, resources=[self.bucket.arn_for_objects("*")])
