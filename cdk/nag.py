"""Findings of cdk-nag that we accept, each with its reason. Any other finding fails the tests.

Two rule packs: AwsSolutions, and NIST 800-53 revision 5. checkov's findings are answered in .checkov.yaml (`make checkov`).
"""

import aws_cdk as cdk
from constructs import IConstruct

REASONS = {
    "AwsSolutions-IAM5[Resource::*]": (
        "IAM knows no resource for a function's network interfaces in a VPC, X-Ray's segments and DescribeAlarms. "
        "tests/cdk has the list of actions that may use it."
    ),
    (
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:RDSOSMetrics:*]"
    ): "RDS names the streams of enhanced monitoring after its instances' resource ids.",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup]": (
        "AWS Backup's own policy; the permissions that copying a snapshot takes are up to the service and change with it."
    ),
    "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ses:<AWS::Region>:<AWS::AccountId>:identity/*]": (
        "In its sandbox SES asks for the recipient's identity, too. The policy's condition allows the one sender's address."
    ),
    "AwsSolutions-S1": "Every export is logged by the functions, and links that were given out work for ten minutes.",
    "AwsSolutions-L1": "The tests run on Python 3.13, and bytecode is compiled for it; it is supported into 2029.",
    "AwsSolutions-SQS3": (
        "The queue without a dead-letter queue is itself one for deliveries by Lambda and EventBridge, which cdk-nag "
        "does not see; tests/cdk checks the rule for every queue."
    ),
    "AwsSolutions-APIG4": "Health, documentation and openapi.json are open by contract; tests check the list of open routes.",
    "NIST.800.53.R5-IAMNoInlinePolicy": (
        "Each policy belongs to a single role and is deleted with it; a managed policy could be attached to another role."
    ),
    "NIST.800.53.R5-CloudWatchLogGroupEncrypted": (
        "CloudWatch encrypts every log group with AWS's key; a key of our own would protect nothing more, as "
        "logs contain neither bodies nor tokens nor addresses."
    ),
    "NIST.800.53.R5-LambdaConcurrency": (
        "A reservation takes concurrency from all other functions, and a new account has ten; the gateway's throttles "
        "and the queue's maximum limit what can run."
    ),
    "NIST.800.53.R5-LambdaDLQ": (
        "Only scheduled functions are invoked asynchronously, and their failures go to a queue by destination, which this "
        "rule does not see; tests/cdk checks that."
    ),
    "NIST.800.53.R5-LambdaInsideVPC": (
        "check_health calls the service from outside, as a client does, and has no permissions; our network has no way out."
    ),
    "NIST.800.53.R5-S3BucketLoggingEnabled": (
        "Every export is logged by the functions, and links that were given out work for ten minutes."
    ),
    "NIST.800.53.R5-S3BucketReplicationEnabled": "Files of exports can be made again, and are gone after a week.",
    "NIST.800.53.R5-S3BucketVersioningEnabled": (
        "A file is written once, and a former version would outlive the erasure of a customer who is in it."
    ),
    "NIST.800.53.R5-S3DefaultEncryptionKMS": (
        "S3 encrypts with a key of AWS's; with one of our own, whoever signs links would need rights on the key as well."
    ),
    "NIST.800.53.R5-SNSEncryptedKMS": (
        "Alarms cannot publish to a topic under SNS's own key, and our own would encrypt what is then mailed in the clear."
    ),
    "NIST.800.53.R5-CloudWatchAlarmAction": (
        "CodeDeploy reads the alarms without an action, to roll a deployment back; tests/cdk checks all others."
    ),
}

# Only for CDK's own rule between the proxy and the database, so that every other port is still checked.
BY_REFERENCE = dict.fromkeys(
    ("NIST.800.53.R5-EC2RestrictedCommonPorts", "NIST.800.53.R5-EC2RestrictedSSH"),
    "cdk-nag cannot read a port that refers to the instance's; the rule's source is the proxy's group, never an address.",
)

# The same objects, before and after CDK has made an export of the reference from one stack to the other.
BY_BUCKET = dict.fromkeys(
    (
        "AwsSolutions-IAM5[Resource::<FilesBucket7C17EE2E.Arn>/*]",
        "AwsSolutions-IAM5[Resource::Orders-prod-Data:ExportsOutputFnGetAttFilesBucket7C17EE2EArn267E46EA/*]",
    ),
    "Files of exports are named after their exports, which nobody knows beforehand; their bucket holds nothing else.",
)

# Only for a cluster's instances, so that an instance of RDS is still checked.
BY_CLUSTER = {"NIST.800.53.R5-RDSInBackupPlan": "The plan has the cluster, whose instances share one volume."}


def acknowledge(app: cdk.App, database_group: IConstruct, cluster: IConstruct | None) -> None:
    """database_group: the database's security group."""
    by_reference = [child for child in database_group.node.children if child.node.id.endswith("{IndirectPort}")]
    by_cluster = [(cluster, BY_CLUSTER)] if cluster is not None else []
    for scope, reasons in [(app, REASONS | BY_BUCKET), *((rule, BY_REFERENCE) for rule in by_reference), *by_cluster]:
        for rule, reason in reasons.items():
            cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))
