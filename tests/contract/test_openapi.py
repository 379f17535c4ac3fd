"""The examples of openapi.json against the service, which takes a call of every operation."""

import json
from pathlib import Path
from typing import Any

from contract.complete import EXAMPLES
from contract.functions import OPENAPI
from contract.record import Recorder
from contract.walk import walk
from drill.laptop import Laptop
from local.cloud import Settings


def alike(value: Any, other: Any) -> bool:
    """Names and types are the same; what is null depends on how far some work is."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(alike(value[key], other[key]) for key in value)
    if isinstance(value, list) and isinstance(other, list):
        return all(map(alike, value[:1], other[:1]))
    return None in (value, other) or type(value) is type(other)


def test_the_examples_are_what_the_service_answers(tmp_path: Path) -> None:
    """If this fails, `make examples` records them anew."""
    with Laptop(tmp_path, MAIL_FROM=Settings.mail_from) as laptop:
        call = Recorder(laptop.url)
        walk(call)
    recorded = json.loads(EXAMPLES.read_text())
    operations = {o["operationId"] for item in json.loads(OPENAPI.read_text())["paths"].values() for o in item.values()}
    assert call.examples.keys() == recorded.keys() == operations
    for name, own in call.examples.items():
        kept = recorded[name]
        assert own["parameters"].keys() == kept["parameters"].keys(), name
        assert own.get("body") == kept.get("body"), name
        assert own["answers"].keys() == kept["answers"].keys(), name
        for status, answer in own["answers"].items():
            assert answer["headers"] == kept["answers"][status]["headers"], (name, status)
            assert alike(answer["bodies"], kept["answers"][status]["bodies"]), (name, status)
