"""The benchmark sends a gateway's events, detects different answers, and writes its results."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import pytest

from benchmarks import capacity, comparison, report
from benchmarks.answers import AnswersDiffer, compare
from benchmarks.events import cancel_order, create_order, get_order, list_orders
from benchmarks.results import Results
from benchmarks.seeding import queue
from contract.functions import load_functions
from local.events import HttpRequest, http_event


def shape(value: Any) -> Any:
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value)


@pytest.mark.parametrize("call", [list_orders(status="paid"), get_order(7), create_order(7), cancel_order(7)])
def test_its_events_have_the_shape_of_the_gateways(call: Any) -> None:
    event = call.event
    request = HttpRequest(
        method=event["requestContext"]["http"]["method"],
        raw_path=event["rawPath"],
        query=event["rawQueryString"],
        headers=list(event["headers"].items()),
        body=event.get("body", "").encode(),
    )
    expected = http_event(request, event["routeKey"], event.get("pathParameters", {}), "id", None)
    assert shape(event) == shape(expected)


def test_it_sets_every_variable_that_the_functions_of_a_seed_run_read() -> None:
    read = {name for each in load_functions() if each.name in ("start_seed", "run_seed_chunk") for name in each.environment}
    with patch.dict(os.environ), queue():
        assert read <= os.environ.keys()


def answer(text: str, status: int = 200) -> dict[str, Any]:
    return {"statusCode": status, "body": text}


def test_answers_may_spell_times_and_cursors_differently() -> None:
    ours = answer('{"results": [{"at": "2026-01-02T03:04:05.12+00:00"}], "next": "a"}')
    compare("peer", "list", answer('{"results":[{"at":"2026-01-02T03:04:05.120000Z"}],"next":"b"}'), ours)


@pytest.mark.parametrize(
    "theirs",
    [
        '{"results": [{"at": "2026-01-02T03:04:05.13Z"}], "next": "a"}',
        '{"results": [{"at": "2026-01-02T03:04:05.12Z"}], "next": null}',
        '{"results": [], "next": "a"}',
    ],
)
def test_an_answer_that_differs_ends_the_run(theirs: str) -> None:
    ours = answer('{"results": [{"at": "2026-01-02T03:04:05.12+00:00"}], "next": "a"}')
    with pytest.raises(AnswersDiffer):
        compare("peer", "list", answer(theirs), ours)


def results(size: int) -> Results:
    row = {"ours": 0.001, "fastify": 0.002, "limit": 0.0005}
    return Results(
        size=size,
        command="make bench",
        titles={"ours": "this service", "fastify": "Fastify", "limit": "PostgreSQL alone"},
        machine={"cores": "2 cores"},
        versions={"PostgreSQL": "18"},
        warm={"list 50": row, "list, absent status": row, "summary": row},
        cold={"import to first answer": row},
        seed={"seed": row},
        depths={"list 50": {"statement": 0.0004, "driver": 0.0007, "ours": 0.0012, "again": 0.0008}},
        mixed={"ours": (2000.0, 0.3, 0.3), "fastify": (1000.0, 0.9, 0.3)},
    )


def test_the_document_keeps_the_last_run_of_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, path in (("DOCUMENT", "benchmarks.md"), ("PLOTS", "benchmarks"), ("RUNS", "benchmarks/runs.json")):
        monkeypatch.setattr(report, name, tmp_path / path)
    filled = {"scaling.md": ("capacity", capacity.fill), "README.md": ("comparison", comparison.fill)}
    monkeypatch.setattr(report, "FILLED", {tmp_path / name: fill for name, (_, fill) in filled.items()})
    for name, (table, _) in filled.items():
        (tmp_path / name).write_text(f"<!-- {table}: made by `make bench` -->\nold\n<!-- /{table} -->\n")
    for size in (1_000_000, 10_000, 10_000):
        report.write_document(results(size))
    text = (tmp_path / "benchmarks.md").read_text()
    assert [line for line in text.splitlines() if line.endswith("orders")] == ["## 10,000 orders", "## 1,000,000 orders"]
    assert "| list 50 | 1.00 | 2.00 (0.50) | 0.50 (2.00) |" in text
    assert "| a read ≤ 0.91 of Fastify | 3 of 3 | list 50: 0.5 |" in text
    assert "| 0.1 ms + 110 % of PostgreSQL alone (1 is as much) | 0 of 3 | list 50: 1.5 |" in text
    # Each part without the one before it.
    assert "| list 50 | 0.40 | 0.30 | 0.50 | 1.20 | 0.80 |" in text
    plots = sorted((tmp_path / "benchmarks").glob("*.svg"))
    assert len(plots) == 7
    for plot in plots:
        assert f"benchmarks/{plot.name}" in text
        ElementTree.fromstring(plot.read_text())
    scaling = (tmp_path / "scaling.md").read_text()
    # 0.3 s of PostgreSQL per 1,000 requests, of a database that is 60 % busy.
    assert "1,000,000 orders" in scaling
    assert "carries 2,000 requests per second" in scaling
    assert "| 10× | 10,000 | 3.0 | 5.0 | 0.078 |" in scaling
    readme = (tmp_path / "README.md").read_text()
    assert "| list, 50 orders | 1.00 ms | 2.0× |" in readme
    assert "| processor time of 1,000 mixed requests | 0.60 s | 2.0× |" in readme
    assert "old" not in scaling + readme


@pytest.mark.parametrize("document", report.FILLED, ids=lambda document: document.name)
def test_the_figures_of_a_document_are_those_of_the_committed_runs(document: Path) -> None:
    text = document.read_text()
    assert report.FILLED[document](text, report.committed()) == text


def test_a_document_without_a_place_for_its_table_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places"):
        capacity.fill("no comment", [])
