"""What cdk-nag finds and we mean to keep, each with its reason. Everything else that it finds fails the tests."""

import aws_cdk as cdk

REASONS = {
    "AwsSolutions-IAM5[Resource::*]": (
        "Network interfaces of a function in a VPC, X-Ray's segments and DescribeAlarms take no resource in IAM. "
        "tests/cdk holds the list of actions that may stand with it."
    ),
    (
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:"
        "log-group:RDSOSMetrics:log-stream:*]"
    ): "RDS names the streams of enhanced monitoring after its instances' resource ids.",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup]": (
        "AWS Backup's own policy; what it has to do to copy a snapshot is the service's affair and changes with it."
    ),
    "AwsSolutions-L1": "Python 3.13 is what the tests run on and what bytecode is made for; it is supported into 2029.",
    "AwsSolutions-SQS3": (
        "The queue without a dead-letter queue is one itself, of Lambda's and EventBridge's deliveries, which cdk-nag "
        "does not see; tests/cdk holds the rule for every queue."
    ),
    "AwsSolutions-APIG4": "Health, documentation and openapi.json are open by contract; tests hold the list of open routes.",
}


def acknowledge(app: cdk.App) -> None:
    for rule, reason in REASONS.items():
        cdk.Validations.of(app).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))
