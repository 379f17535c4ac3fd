"""Shows what is in a dead-letter queue, or sends all of it to its queue again. `make redrive` calls it.

`python -m contract.redrive STAGE QUEUE [--show]`; STAGE is `local` for the laptop that runs in LOCAL_FOLDER.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contract.functions import ROOT, camel_case

# What the laptop writes to its folder: {"endpoint": …, "dead_letters": {queue: URL}}.
LAPTOP_FILE = "queues.json"
# Long enough to see all of them, short enough not to be missed.
HIDDEN_SECONDS = 5


def dead_letters_output(queue: str) -> str:
    """The output of the stage's Data stack that holds the URL of a queue's dead-letter queue."""
    return f"{camel_case(queue)}DeadLettersUrl"


def find(stage: str, queue: str) -> tuple[Any, str]:
    """The client, and the URL of the dead-letter queue. Raises LookupError if there is no such queue."""
    if stage == "local":
        folder = Path(os.environ.get("LOCAL_FOLDER", ROOT / ".local"))
        known = json.loads((folder / LAPTOP_FILE).read_text(encoding="utf-8"))
        url = known["dead_letters"].get(queue)
        client = boto3.client(
            "sqs",
            endpoint_url=known["endpoint"],
            region_name="eu-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - moto requires one but ignores it
        )
    else:
        [stack] = boto3.client("cloudformation").describe_stacks(StackName=f"Orders-{stage}-Data")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        url, client = outputs.get(dead_letters_output(queue)), boto3.client("sqs")
    if url is None:
        raise LookupError(f"stage {stage} has no such queue")
    return client, url


def show(client: Any, url: str) -> list[str]:
    """The bodies of the dead letters, which are hidden for some seconds and stay where they are."""
    bodies: dict[str, str] = {}
    while messages := _receive(client, url, VisibilityTimeout=HIDDEN_SECONDS):
        new = {message["MessageId"]: message["Body"] for message in messages if message["MessageId"] not in bodies}
        if not new:
            break
        bodies |= new
    return list(bodies.values())


def send_again(client: Any, url: str) -> int:
    """Moves all dead letters to the queue that they come from; returns how many. If it is killed, one may be in both."""
    [source] = client.list_dead_letter_source_queues(QueueUrl=url)["queueUrls"]
    moved = 0
    while messages := _receive(client, url):
        for message in messages:
            client.send_message(QueueUrl=source, MessageBody=message["Body"], **_anew(message, source))
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved


def _anew(message: dict[str, Any], source: str) -> dict[str, str]:
    """For a queue that delivers once: a group of its own, and no mistaking it for the message that has failed."""
    names = ("MessageGroupId", "MessageDeduplicationId") if source.endswith(".fifo") else ()
    return dict.fromkeys(names, message["ReceiptHandle"][-128:])


def _receive(client: Any, url: str, **options: int) -> list[dict[str, Any]]:
    answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, **options)
    return [dict(message) for message in answer.get("Messages", [])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("queue")
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    try:
        client, url = find(arguments.stage, arguments.queue)
        if arguments.show:
            print(*show(client, url), sep="\n")
        else:
            print(f"{send_again(client, url)} messages were sent again")
    except (LookupError, OSError, BotoCoreError, ClientError) as reason:
        sys.exit(f"{arguments.queue}: {reason}")


if __name__ == "__main__":
    main()
