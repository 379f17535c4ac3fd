"""Records what SES tells of a mail after it has accepted it: that it bounced, or that its reader complained."""

from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders import database
from orders.queues import Message, work_off

RECORD = database.load_sql(__file__, "record_mail_feedback.sql")
# The one message that is no JSON: SES tries, when it is told of the topic, whether it may publish there.
TRIAL = "Successfully validated SNS topic"

logger = Logger()
metrics = Metrics()


class Verdict(NamedTuple):
    """reason: why the address gets no mail any more; None if it still does."""

    status: str
    error: str
    reason: str | None


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The ids of the messages that failed, which SQS delivers again; the others are finished."""
    told = [message for message in event["Records"] if not message["body"].startswith(TRIAL)]
    try:
        return work_off({"Records": told}, context, record)
    finally:
        metrics.add_metric("MailsBounced", MetricUnit.Count, 0)
        metrics.flush_metrics()


def record(message: Message) -> None:
    """message: an event of SES as it is published to SNS and delivered raw. It names one of our mails by its tags."""
    verdict = judge(message)
    tags = message["mail"].get("tags", {})
    if verdict is None or "mail" not in tags:
        logger.info("Nothing to record", extra={"event_type": message.get("eventType")})
        return
    [mail], [address_hash] = tags["mail"], tags["address_hash"]
    database.run(
        RECORD,
        repeatable=True,
        mail=int(mail),
        message_id=message["mail"]["messageId"],
        address_hash=address_hash,
        **verdict._asdict(),
    )
    metrics.add_metric("MailsBounced", MetricUnit.Count, int(verdict.status == "bounced"))
    metrics.add_metric("MailsComplained", MetricUnit.Count, int(verdict.status == "complained"))
    logger.info("Recorded", extra={"mail": mail, "status": verdict.status, "suppressed": verdict.reason is not None})


def judge(message: Message) -> Verdict | None:
    """None for what says nothing against the mail or its address."""
    match message["eventType"]:
        case "Bounce":
            bounce = message["bounce"]
            permanent = bounce["bounceType"] == "Permanent"
            kind = f"{bounce['bounceType']}, {bounce['bounceSubType']}"
            return Verdict("bounced", f"It could not be delivered: {kind}.", "bounce" if permanent else None)
        case "Complaint" if message["complaint"].get("complaintFeedbackType") != "not-spam":
            return Verdict("complained", "Its reader complained about it.", "complaint")
        case "Reject":
            return Verdict("failed", "SES refused it after accepting it.", None)
    return None
