"""What cdk-nag finds and we mean to keep, each with its reason. Everything else that it finds fails the tests.

Two rule packs: AwsSolutions, and NIST 800-53 revision 5. What checkov finds is answered in .checkov.yaml (`make checkov`).
"""

import aws_cdk as cdk
from constructs import IConstruct

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
    "NIST.800.53.R5-IAMNoInlinePolicy": (
        "Each policy belongs to one role alone and goes with it; a managed policy could be attached to another role."
    ),
    "NIST.800.53.R5-CloudWatchLogGroupEncrypted": (
        "CloudWatch encrypts every log group with a key of AWS's; a key of our own would add no reader and no barrier, as "
        "logs hold neither bodies nor tokens nor addresses."
    ),
    "NIST.800.53.R5-LambdaConcurrency": (
        "A reservation takes executions away from all other functions, and a new account has ten; the gateway's throttles "
        "and the queue's maximum limit what can run."
    ),
    "NIST.800.53.R5-LambdaDLQ": (
        "Only scheduled functions are invoked asynchronously, and their failures go to a queue by destination, which this "
        "rule does not see; tests/cdk holds it."
    ),
    "NIST.800.53.R5-LambdaInsideVPC": (
        "check_health looks at the service from outside, as a client does, and may do nothing; our network has no way out."
    ),
    "NIST.800.53.R5-SNSEncryptedKMS": (
        "Alarms cannot publish to a topic under SNS's own key, and a key of ours would keep secret what is mailed in the clear."
    ),
    "NIST.800.53.R5-CloudWatchAlarmAction": (
        "The alarms without an action are read by CodeDeploy, which takes a deployment back; tests/cdk holds it for all others."
    ),
}

# For CDK's own rule between the proxy and the database alone, so that every other port is still looked at.
BY_REFERENCE = dict.fromkeys(
    ("NIST.800.53.R5-EC2RestrictedCommonPorts", "NIST.800.53.R5-EC2RestrictedSSH"),
    "cdk-nag cannot read a port that refers to the instance's; the rule's source is the proxy's group, never an address.",
)


def acknowledge(app: cdk.App, database_group: IConstruct) -> None:
    by_reference = [child for child in database_group.node.children if child.node.id.endswith("{IndirectPort}")]
    for scope, reasons in [(app, REASONS), *((rule, BY_REFERENCE) for rule in by_reference)]:
        for rule, reason in reasons.items():
            cdk.Validations.of(scope).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))
