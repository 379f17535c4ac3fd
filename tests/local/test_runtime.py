"""Execution environments under AWS's runtime client: starting, scaling, failing and being replaced, as in Lambda."""

import asyncio
import io
import json
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.functions import Function
from drill.servers import wait_until
from local import peer, runtime
from local.cloud import RUNTIME_CLIENT
from local.console import Console
from local.runtime import MAX_ENVIRONMENTS, EventTooLarge, FunctionPool, Launch, Result, lambda_environment

ECHO = "def handler(event, context):\n    return {'event': event, 'id': context.aws_request_id}\n"


class Bench:
    """A function built from a piece of source, and what the terminal showed."""

    def __init__(self, folder: Path, source: str, *, timeout: int = 5, path: str = "") -> None:
        folder.mkdir(exist_ok=True)
        (folder / "handler.py").write_text(textwrap.dedent(source))
        self.screen = io.StringIO()
        self.path = path
        function = Function(name="bench", folder=folder, routes=(), timeout_seconds=timeout)
        self.function = FunctionPool(function, self.launch, Console(self.screen))

    def launch(self, function: Function) -> Launch:
        environment = {**lambda_environment(function, function.folder), "PYTHONPATH": self.path}
        return Launch([sys.executable, "-m", "awslambdaric", "handler.handler"], function.folder, environment)

    def run(self, scenario: Callable[[FunctionPool], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            try:
                return await scenario(self.function)
            finally:
                await self.function.stop()

        return asyncio.run(whole())

    def invoke(self, event: Any = None) -> Result:
        result: Result = self.run(lambda function: function.invoke(event))
        return result


def test_an_event_goes_in_and_the_answer_comes_out(tmp_path: Path) -> None:
    event = {"text": "ünï 😀", "nested": [1, None, True]}
    result = Bench(tmp_path, ECHO).invoke(event)
    assert not result.failed
    assert result.json["event"] == event
    assert len(result.json["id"]) == 36


def test_the_runtime_client_of_the_standard_library_does_the_same(tmp_path: Path) -> None:
    """The one that runs where awslambdaric has no wheel; here its place on the path enforces it."""
    source = ECHO + "import runtime_client\nassert runtime_client.__file__.endswith('runtime_client.py')\n"
    assert Bench(tmp_path, source, path=str(RUNTIME_CLIENT)).invoke({"a": "ü"}).json["event"] == {"a": "ü"}
    failing = Bench(tmp_path, "def handler(event, context):\n    raise ValueError('ünï')\n", path=str(RUNTIME_CLIENT)).invoke()
    assert (failing.failed, failing.json["errorType"], failing.json["errorMessage"]) == (True, "ValueError", "ünï")


def test_an_exception_is_an_error_with_its_traceback_on_the_terminal(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "def handler(event, context):\n    raise ValueError('told you')\n")
    result = bench.invoke()
    assert (result.failed, result.json["errorType"]) == (True, "ValueError")
    assert "told you" in bench.screen.getvalue()
    assert "raise ValueError('told you')" in bench.screen.getvalue()


def test_one_environment_serves_one_request_after_another(tmp_path: Path) -> None:
    source = "import os\ndef handler(event, context):\n    return os.getpid()\n"

    async def scenario(function: FunctionPool) -> list[Any]:
        return [(await function.invoke(None)).json for _ in range(3)]

    assert len(set(Bench(tmp_path, source).run(scenario))) == 1


def test_concurrent_requests_get_more_environments_up_to_a_limit(tmp_path: Path) -> None:
    source = f"""
        import os, pathlib, time
        def handler(event, context):
            # The first ones wait for each other, so that none can serve twice before all have begun.
            pathlib.Path(f"here.{{os.getpid()}}").touch()
            while len(list(pathlib.Path(".").glob("here.*"))) < {MAX_ENVIRONMENTS}:
                time.sleep(0.01)
            return os.getpid()
    """

    async def scenario(function: FunctionPool) -> list[Any]:
        results = await asyncio.gather(*(function.invoke(None) for _ in range(MAX_ENVIRONMENTS + 3)))
        return [result.json for result in results]

    answers = Bench(tmp_path, source, timeout=60).run(scenario)
    assert len(answers) == MAX_ENVIRONMENTS + 3
    assert len(set(answers)) == MAX_ENVIRONMENTS


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_a_process_that_ends_is_an_error_and_is_replaced(tmp_path: Path, how: str) -> None:
    bench = Bench(
        tmp_path, f"import os\ndef handler(event, context):\n    if event == 'die':\n        {how}\n    return 'alive'\n"
    )

    async def scenario(function: FunctionPool) -> tuple[Result, Result]:
        return await function.invoke("die"), await function.invoke(None)

    died, alive = bench.run(scenario)
    assert (died.failed, died.json["errorType"]) == (True, "Runtime.ExitError")
    assert alive.json == "alive"
    assert "The process ended" in bench.screen.getvalue()


def test_a_function_that_takes_too_long_is_killed_and_replaced(tmp_path: Path) -> None:
    source = """
        import time
        def handler(event, context):
            left = context.get_remaining_time_in_millis()
            time.sleep(event)
            return left
    """

    async def scenario(function: FunctionPool) -> tuple[Result, Result]:
        return await function.invoke(60), await function.invoke(0)

    slow, quick = Bench(tmp_path, source, timeout=1).run(scenario)
    assert (slow.failed, slow.json["errorType"]) == (True, "Sandbox.Timedout")
    assert "Task timed out after 1.00 seconds" in slow.json["errorMessage"]
    assert 0 < quick.json <= 1000


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import nothing_of_this_name\n", "Runtime.ImportModuleError"),
        ("def other(): pass\n", "Runtime.HandlerNotFound"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("def handler(:\n", "Runtime.UserCodeSyntaxError"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_an_error_until_it_is_fixed(tmp_path: Path, source: str, kind: str) -> None:
    bench = Bench(tmp_path, source)

    async def scenario(function: FunctionPool) -> tuple[Result, Result, Result]:
        first, second = await function.invoke(None), await function.invoke(None)
        (tmp_path / "handler.py").write_text(ECHO)
        await function.recycle()
        return first, second, await function.invoke("fixed")

    first, second, fixed = bench.run(scenario)
    assert (first.failed, first.json["errorType"]) == (second.failed, second.json["errorType"]) == (True, kind)
    assert fixed.json["event"] == "fixed"


def test_an_idle_environment_stops_and_the_next_request_starts_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "IDLE_SECONDS", 0)
    source = "import os\ndef handler(event, context):\n    return os.getpid()\n"

    async def scenario(function: FunctionPool) -> tuple[Any, int, Any]:
        first = (await function.invoke(None)).json
        await function.retire_idle()
        return first, len(function.environments), (await function.invoke(None)).json

    first, left, second = Bench(tmp_path, source).run(scenario)
    assert left == 0
    assert first != second


def test_a_change_lets_running_work_finish(tmp_path: Path) -> None:
    source = """
        import pathlib, time
        def handler(event, context):
            pathlib.Path("begun").touch()
            while not pathlib.Path("changed").exists():
                time.sleep(0.01)
            return 'old'
    """

    async def scenario(function: FunctionPool) -> tuple[Any, Any]:
        running = asyncio.create_task(function.invoke(None))
        await asyncio.to_thread(wait_until, (tmp_path / "begun").exists, "The first invocation")
        (tmp_path / "handler.py").write_text("def handler(event, context):\n    return 'new'\n")
        await function.recycle()
        new = (await function.invoke(None)).json
        (tmp_path / "changed").touch()
        return new, (await running).json

    assert Bench(tmp_path, source, timeout=60).run(scenario) == ("new", "old")


QUOTES = 2  # around a text that is JSON


def test_an_answer_may_have_as_many_bytes_of_json_as_lambda_allows(tmp_path: Path) -> None:
    """What counts is what the runtime client sends: a line break in the answer takes two bytes."""
    most = 6_291_556 - QUOTES

    async def scenario(function: FunctionPool) -> list[Result]:
        events = [{"text": "x", "times": most}, {"text": "x", "times": most + 1}, {"text": "\n", "times": most // 2 + 1}]
        return [await function.invoke(event) for event in events]

    fits, over, escaped = Bench(tmp_path, "def handler(event, context):\n    return event['text'] * event['times']\n").run(
        scenario
    )
    assert (fits.failed, len(fits.json)) == (False, most)
    refusal = {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert (over.failed, over.json) == (escaped.failed, escaped.json) == (True, refusal)


def test_an_event_over_lambdas_limit_does_not_reach_the_function(tmp_path: Path) -> None:
    """Its bytes in UTF-8 count: 3,145,727 of these two-byte letters fit, although their escapes take six bytes."""
    most = 6_291_456 - QUOTES

    async def scenario(function: FunctionPool) -> list[Any]:
        taken = [(await function.invoke(event)).json for event in ("x" * most, "ü" * (most // 2))]
        for event in ("x" * (most + 1), "ü" * (most // 2 + 1)):
            with pytest.raises(EventTooLarge):
                await function.invoke(event)
        return taken

    assert Bench(tmp_path, "def handler(event, context):\n    return len(event)\n").run(scenario) == [most, most // 2]


def address(function: FunctionPool) -> str:
    """The address of the Runtime API of its only environment."""
    [environment] = function.environments
    assert environment.server is not None
    return "http://{}:{}/2018-06-01/runtime".format(*environment.server.sockets[0].getsockname())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is at the other end of a connection")
def test_no_other_process_takes_an_invocation_or_ends_an_environment(tmp_path: Path) -> None:
    """An invocation carries its client's bearer token."""
    bench = Bench(tmp_path, ECHO)

    async def scenario(function: FunctionPool) -> list[Any]:
        answers = [(await function.invoke(0)).json["event"]]
        async with httpx.AsyncClient(base_url=address(function)) as thief:
            theft = asyncio.create_task(thief.get("/invocation/next"))
            answers += [(await function.invoke(number)).json["event"] for number in (1, 2)]
            for refused in (theft, thief.get("/invocation/next"), thief.post("/init/error", content=b"{}")):
                with pytest.raises(httpx.TransportError):
                    await refused
        return [*answers, (await function.invoke(3)).json["event"], len(function.environments)]

    assert bench.run(scenario) == [0, 1, 2, 3, 1]
    assert "Another process" in bench.screen.getvalue()


@pytest.mark.parametrize("headers", [{"Host": "evil.example.com"}, {"Origin": "http://localhost:5173"}])
def test_no_page_takes_an_invocation_where_the_system_does_not_tell_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(peer, "CONNECTIONS", tmp_path / "nothing")

    async def scenario(function: FunctionPool) -> list[Any]:
        answers = [(await function.invoke(0)).json["event"]]
        async with httpx.AsyncClient(base_url=address(function)) as page:
            with pytest.raises(httpx.TransportError):
                await page.get("/invocation/next", headers=headers)
        return [*answers, *[(await function.invoke(number)).json["event"] for number in (1, 2)]]

    assert Bench(tmp_path, ECHO).run(scenario) == [0, 1, 2]


def test_a_log_record_is_one_tidy_line_and_metrics_are_not_shown(tmp_path: Path) -> None:
    lines = [
        {"level": "INFO", "message": "Queued", "timestamp": "t", "location": "l", "service": "s", "chunks": 5},
        {"level": "DEBUG", "message": "noise"},
        {"_aws": {"CloudWatchMetrics": []}, "TotalsDrift": [0]},
        {"level": "ERROR", "message": "Failed", "exception": "Traceback (most recent call last):\n  here"},
    ]
    printing = "".join(f"    print({json.dumps(line)!r})\n" for line in lines)
    source = f"def handler(event, context):\n{printing}    print('plain')\n"
    bench = Bench(tmp_path, source)
    bench.invoke()
    shown = [line.partition("│ ")[2] for line in bench.screen.getvalue().splitlines()]
    assert shown == ["INFO Queued chunks=5", "ERROR Failed", "Traceback (most recent call last):", "  here", "plain"]
