"""Whether a peer's answer equals ours: the same JSON, except for how times are spelled and for cursors, which are opaque."""

import json
from datetime import datetime
from typing import Any


class AnswersDiffer(Exception):
    """A peer did different work from the service, so its times would mean nothing."""


def content(answer: dict[str, Any]) -> Any:
    """The parts of an answer that are compared."""
    document = json.loads(answer["body"])
    if "results" in document:
        document = {"results": document["results"], "more": document["next"] is not None}
    return answer["statusCode"], _moments(document)


def compare(who: str, what: str, theirs: dict[str, Any], ours: dict[str, Any], statuses: tuple[int, ...] = (200,)) -> None:
    if ours["statusCode"] not in statuses:
        raise AnswersDiffer(f"{what}: this service answers {ours}")
    if content(theirs) != content(ours):
        raise AnswersDiffer(f"{what}: {who} answers\n{content(theirs)}\nand this service\n{content(ours)}")


def _moments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _moments(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moments(inner) for inner in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value).timestamp()
    return value
