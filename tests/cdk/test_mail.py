"""Mail in the cloud: nothing of it without a sender; with one, least rights and a way back for what SES tells."""

import json
import re
from typing import Any

import pytest
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from cdk.settings import from_context
from tests.cdk.conftest import EVERY_CHOICE, Synthesized, synthesize_few

SENDER = EVERY_CHOICE["mail_from"]


@pytest.fixture(scope="module")
def mailing() -> Synthesized:
    return synthesize_few("prod", **EVERY_CHOICE)


def variables(stage: Synthesized, name: str) -> dict[str, Any]:
    found = [f["Properties"]["Environment"]["Variables"] for f in stage.resources("AWS::Lambda::Function").values()
             if "Environment" in f["Properties"]]  # fmt: skip
    [own] = [each for each in found if each.get("POWERTOOLS_SERVICE_NAME") == name]
    return dict(own)


def test_without_a_sender_nothing_is_sent_and_nobody_may(prod: Synthesized) -> None:
    assert prod.resources("AWS::SES::EmailIdentity", "AWS::SES::ConfigurationSet") == {}
    assert "ses:Send" not in json.dumps(prod.stacks)
    assert "AWS/SES" not in json.dumps(prod.stacks)
    assert variables(prod, "migrate_database")["MAIL_FROM"] == ""


def test_a_sender_is_an_identity_that_signs_and_outlives_the_stack(mailing: Synthesized) -> None:
    [identity] = mailing.resources("AWS::SES::EmailIdentity").values()
    assert identity["Properties"]["EmailIdentity"] == "shop.example.com"
    assert "DkimAttributes" not in identity["Properties"]
    assert identity["DeletionPolicy"] == "RetainExceptOnCreate"
    assert variables(mailing, "send_mail")["MAIL_FROM"] == variables(mailing, "migrate_database")["MAIL_FROM"] == SENDER


def test_only_the_sender_may_send_and_only_from_its_address(mailing: Synthesized) -> None:
    statements = [
        (name, statement)
        for name, policy in mailing.resources("AWS::IAM::Policy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "ses:" in json.dumps(statement["Action"])
    ]
    [(name, statement)] = statements
    assert "sendmail" in name
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "orders@shop.example.com"}}
    ends = [json.dumps(resource).rpartition(":")[2] for resource in statement["Resource"]]
    names = {re.findall(r"[\w./*-]+", end)[0] for end in ends}
    # In SES's sandbox the recipient's identity is asked for, too.
    assert names == {"identity/*", "configuration-set/orders-prod"}


def test_what_ses_tells_goes_to_the_queue_and_not_to_a_list_that_no_erasure_reaches(mailing: Synthesized) -> None:
    [configuration] = mailing.resources("AWS::SES::ConfigurationSet").values()
    assert configuration["Properties"]["Name"] == variables(mailing, "send_mail")["MAIL_CONFIGURATION_SET"]
    assert configuration["Properties"]["SuppressionOptions"] == {"SuppressedReasons": []}
    [destination] = mailing.resources("AWS::SES::ConfigurationSetEventDestination").values()
    assert destination["Properties"]["EventDestination"]["MatchingEventTypes"] == ["bounce", "complaint", "reject"]
    subscriptions = [subscription["Properties"] for subscription in mailing.resources("AWS::SNS::Subscription").values()]
    # The other one is an operator's address.
    [subscription] = [properties for properties in subscriptions if properties["Protocol"] == "sqs"]
    assert subscription["RawMessageDelivery"] is True
    assert "MailFeedbackQueue" in json.dumps(subscription["Endpoint"])


def test_its_messages_are_delivered_once(prod: Synthesized) -> None:
    queues = {name: queue["Properties"] for name, queue in prod.resources("AWS::SQS::Queue").items()}
    once = [name for name, queue in queues.items() if queue.get("FifoQueue")]
    assert [re.sub(r"[0-9A-F]{8}$", "", name) for name in once] == ["Data/MailDeadLetters", "Data/MailQueue"]
    assert all(queues[name]["ContentBasedDeduplication"] for name in once)


def test_its_alarms_are_about_rates_and_delay(mailing: Synthesized) -> None:
    alarms = {a["Properties"]["AlarmName"]: a["Properties"] for a in mailing.resources("AWS::CloudWatch::Alarm").values()}
    thresholds = {name: alarms[f"orders-prod-{name}"]["Threshold"] for name in ("mail-bounces", "mail-complaints")}
    assert thresholds == {"mail-bounces": 0.02, "mail-complaints": 0.001}
    assert {"orders-prod-mail-unsent", "orders-prod-mail-late", "orders-prod-mail-backlog"} <= alarms.keys()


@pytest.mark.parametrize("pack", [AwsSolutionsChecks, NIST80053R5Checks])
def test_every_finding_of_cdk_nag_has_a_reason(mailing: Synthesized, pack: Any) -> None:
    report = pack().validate_scope(mailing.app)
    assert {v.rule_name: [r.construct_path for r in v.violating_resources] for v in report.violations} == {}


@pytest.mark.parametrize("sender", ["orders", "a@b", "<a@b.de>, c@d.de", "Shop <a@b.de", "a@b.de>", "A\nB <a@b.de>", "a@ä.de"])
def test_what_is_no_sender_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match="is not a sender"):
        from_context({"mail_from": sender})


@pytest.mark.parametrize("sender", [SENDER, "orders@shop.example.com", None, ""])
def test_a_sender_is_an_address_with_or_without_a_name(sender: str | None) -> None:
    assert from_context({"mail_from": sender}).mail_from == (sender or None)
