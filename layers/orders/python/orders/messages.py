"""What the messages of the seed queue contain. Each may arrive any number of times, in any order."""

import json


def run_message(run_id: str) -> str:
    """Asks the worker to send a message for each of the run's unfinished chunks."""
    return json.dumps({"run": run_id})


def chunk_message(run_id: str, number: int) -> str:
    """Asks the worker to insert the rows of one chunk."""
    return json.dumps({"run": run_id, "chunk": number})
