"""Mail by SES: an identity that signs, and what becomes of mails that it has accepted, as messages of a queue.

It belongs to the stack that rarely changes, because a new identity has to be proved by new records in DNS. Nothing is exported:
the names are known, so that the choice of a sender changes nothing that another stack imports.
"""

from email.utils import parseaddr

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from cdk.settings import Settings

# What makes a mail less than sent. Deliveries, which are nearly all, would be a message each.
EVENTS = [ses.EmailSendingEvent.BOUNCE, ses.EmailSendingEvent.COMPLAINT, ses.EmailSendingEvent.REJECT]


class Mail(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings, feedback: sqs.IQueue) -> None:
        """feedback: the queue that gets what SES tells of a mail later."""
        super().__init__(scope, construct_id)
        self.identity = ses.EmailIdentity(
            self,
            "Identity",
            identity=ses.Identity.domain(sender_domain(settings)),
            # Both would tell people what the queue tells us.
            feedback_forwarding=False,
        )
        # CloudFormation creates none that exists: what a failed deployment has created must not be in the next one's way.
        kept = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if settings.protect else cdk.RemovalPolicy.DESTROY
        self.identity.apply_removal_policy(kept)
        configuration = ses.ConfigurationSet(
            self,
            "Configuration",
            configuration_set_name=configuration_set_name(settings),
            reputation_metrics=True,
            tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE,
            # The database has our own list, which an erasure reaches.
            disable_suppression_list=True,
        )
        topic = sns.Topic(self, "Feedback", topic_name=f"orders-{settings.stage}-mail-feedback", enforce_ssl=True)
        topic.add_subscription(subscriptions.SqsSubscription(feedback, raw_message_delivery=True))
        configuration.add_event_destination(
            "Feedback", destination=ses.EventDestination.sns_topic(topic), events=EVENTS, enabled=True
        )
        for number, record in enumerate(self.identity.dkim_records, 1):
            description = "A CNAME record that the sender's domain needs, and what it leads to"
            cdk.CfnOutput(scope, f"MailRecord{number}", value=f"{record.name} {record.value}", description=description)


def may_send(settings: Settings) -> iam.PolicyStatement:
    """From the one sender, by the one configuration set."""
    # Of any identity: while an account is in its sandbox, SES asks for that of the recipient as well.
    names = ["identity/*", f"configuration-set/{configuration_set_name(settings)}"]
    place = f"arn:{cdk.Aws.PARTITION}:ses:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}"
    return iam.PolicyStatement(
        # SES asks for the second where a mail is given whole.
        actions=["ses:SendEmail", "ses:SendRawEmail"],
        resources=[f"{place}:{name}" for name in names],
        conditions={"StringEquals": {"ses:FromAddress": _sender(settings)}},
    )


def configuration_set_name(settings: Settings) -> str:
    return f"orders-{settings.stage}"


def sender_domain(settings: Settings) -> str:
    return _sender(settings).rpartition("@")[2]


def _sender(settings: Settings) -> str:
    return parseaddr(settings.mail_from or "")[1]
