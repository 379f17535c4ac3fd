"""The queues: one for each worker of the stage, each with its dead-letter queue."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract.functions import Function

# That a message waits for its worker. By then its row of the outbox has been sent again.
MOST_DAYS = 4


class WorkQueue(Construct):
    def __init__(self, scope: Construct, construct_id: str, worker: Function) -> None:
        super().__init__(scope, construct_id)
        assert worker.queue is not None
        self.worker = worker
        self.name = worker.queue.name
        once: dict[str, Any] = {"fifo": True, "content_based_deduplication": True} if worker.queue.once else {}
        kept = worker.queue.keep_days
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(kept),
            **once,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(min(kept, MOST_DAYS)),
            visibility_timeout=cdk.Duration.seconds(worker.lease_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=worker.queue.max_receives),
            **once,
        )
