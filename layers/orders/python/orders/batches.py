"""Messages in batches as SQS takes them."""

import re
from collections.abc import Iterator

# SQS takes up to ten messages at once, and 1 MiB; a queue from before 2025 takes a quarter of that.
MESSAGES_PER_BATCH, BYTES_PER_BATCH = 10, 256 * 1024
# Of what a text of PostgreSQL's can hold, SQS takes all but these: it refuses a message with one, or puts another in its place.
NO_CHARACTERS = re.compile("[\ufffe\uffff]")

Messages = dict[str, str]


def batches(messages: Messages) -> Iterator[Messages]:
    """messages: their bodies are JSON."""
    batch: Messages = {}
    size = 0
    for identifier, text in messages.items():
        body = NO_CHARACTERS.sub(lambda found: f"\\u{ord(found[0]):x}", text)
        length = len(body.encode())
        if len(batch) == MESSAGES_PER_BATCH or (batch and size + length > BYTES_PER_BATCH):
            yield batch
            batch, size = {}, 0
        batch[identifier] = body
        size += length
    if batch:
        yield batch


def entries(batch: Messages, url: str) -> list[dict[str, str]]:
    """As SQS takes them. A queue that delivers once wants groups; in its own, a message waits for no other."""
    found = [{"Id": identifier, "MessageBody": body} for identifier, body in batch.items()]
    return [{**entry, "MessageGroupId": entry["Id"]} for entry in found] if url.endswith(".fifo") else found
