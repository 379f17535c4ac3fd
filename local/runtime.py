"""The Lambda service: execution environments under AWS's runtime client, behind the Runtime API (2018-06-01).

An environment is a process that asks `/runtime/invocation/next` for work, one invocation at a time. Each has its own Runtime
API server on a free port, so that the port tells which environment a request comes from. No other process
gets an answer, as an invocation carries its client's bearer token. The runtime client keeps one connection, so this costs 1 to
2 ms per cold start and nothing per invocation.
"""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11

from contract.functions import Function
from local.console import Console
from local.guard import Guard
from local.peer import is_held_by
from local.postgres import end_with_parent

API = "/2018-06-01/runtime"
# For a laptop with two cores: more environments of one function would only wait for each other.
MAX_ENVIRONMENTS = 4
# An environment that has been idle for this long is stopped, as in Lambda: a laptop's memory is not ours to keep.
IDLE_SECONDS = 120
INIT_SECONDS = 20
STOP_SECONDS = 2
READ_BYTES = 64 * 1024
# Lambda's own limits: an answer may be a little larger than an event.
MAX_EVENT_BYTES = 6 * 1024 * 1024
MAX_RESPONSE_BYTES = MAX_EVENT_BYTES + 100
# moto only knows real regions.
ACCOUNT, REGION = "123456789012", "eu-central-1"


class EventTooLarge(Exception):
    """Lambda refuses the event; its Invoke API answers RequestEntityTooLargeException."""


@dataclass(frozen=True)
class Result:
    """The outcome of an invocation: the function's JSON, or Lambda's error document."""

    payload: bytes
    failed: bool

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


@dataclass(frozen=True)
class Launch:
    """How an environment's process is started."""

    command: list[str]
    folder: Path
    environment: dict[str, str]


def error(error_type: str, message: str) -> Result:
    return Result(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), failed=True)


class Invocation:
    def __init__(self, payload: bytes, timeout_seconds: float, arn: str) -> None:
        self.id = str(uuid.uuid4())
        self.payload = payload
        self.timeout_seconds = timeout_seconds
        self.arn = arn
        self.result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._deadline: float | None = None

    @property
    def deadline(self) -> float:
        """In seconds since 1970: the same for the function as for whoever waits, and counted from when the first one asks."""
        if self._deadline is None:
            self._deadline = time.time() + self.timeout_seconds
        return self._deadline

    def headers(self) -> list[tuple[str, str]]:
        """The native client crashes without the trace id and the content type."""
        root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
        return [
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self.id),
            ("Lambda-Runtime-Deadline-Ms", str(int(self.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", self.arn),
            ("Lambda-Runtime-Trace-Id", f"Root={root};Parent={uuid.uuid4().hex[:16]};Sampled=0"),
        ]

    def finish(self, result: Result) -> None:
        if not self.result.done():
            self.result.set_result(result)


class Environment:
    """One process of a function, and the Runtime API that it talks to."""

    def __init__(self, name: str, console: Console) -> None:
        self.name = name
        self.console = console
        self.process: asyncio.subprocess.Process | None = None
        self.server: asyncio.Server | None = None
        self.waiting: asyncio.Queue[Invocation] = asyncio.Queue()
        self.current: Invocation | None = None
        self.launched = asyncio.Event()
        self.ready = asyncio.Event()
        self.init_error: Result | None = None
        self.idle_since = time.monotonic()
        self.stopping = False
        self.tasks: list[asyncio.Task[None]] = []
        self.connections: set[asyncio.Task[Any]] = set()

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.returncode is None else None

    @property
    def alive(self) -> bool:
        return self.pid is not None and not self.stopping and self.init_error is None and not _has_exited(self.pid)

    async def start(self, launch: Launch) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.process = await asyncio.create_subprocess_exec(
            *launch.command,
            cwd=launch.folder,
            env={**launch.environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        self.launched.set()
        self.tasks = [asyncio.create_task(self._print_output()), asyncio.create_task(self._watch_exit())]

    async def invoke(self, invocation: Invocation) -> Result:
        """Hands the invocation to the process and waits for its outcome, at most until its deadline."""
        self.waiting.put_nowait(invocation)
        try:
            await asyncio.wait_for(asyncio.shield(self._begun(invocation)), INIT_SECONDS)
            return await asyncio.wait_for(asyncio.shield(invocation.result), invocation.deadline - time.time())
        except TimeoutError:
            message = f"{invocation.id} Task timed out after {invocation.timeout_seconds:.2f} seconds"
            self.console.problem(self.name, message)
            await self.stop()
            return error("Sandbox.Timedout", message)

    async def _begun(self, invocation: Invocation) -> None:
        ready: asyncio.Future[Any] = asyncio.ensure_future(self.ready.wait())
        result: asyncio.Future[Any] = invocation.result
        await asyncio.wait([ready, result], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def stop(self) -> None:
        """Ends the process at once, as Lambda does; unfinished work is lost."""
        self.stopping = True
        if self.pid is not None and self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
        if self.server is not None:
            self.server.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _print_output(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        rest = b""
        while chunk := await self.process.stdout.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.console.function_output(self.name, line.decode(errors="replace"))
        if rest:
            self.console.function_output(self.name, rest.decode(errors="replace"))

    async def _watch_exit(self) -> None:
        assert self.process is not None
        status = await self.process.wait()
        what = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        failed = self.init_error or error("Runtime.ExitError", f"Runtime exited with error: {what}")
        if not self.stopping and self.init_error is None:
            self.console.problem(self.name, f"The process ended: {what}")
        while not self.waiting.empty():
            self.waiting.get_nowait().finish(failed)
        if self.current is not None:
            self.current.finish(failed)
        if self.server is not None:
            self.server.close()
        for connection in self.connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)
        connection = h11.Connection(h11.SERVER)
        server = writer.get_extra_info("sockname")
        guard = Guard.of_port(server[1])
        try:
            await self.launched.wait()
            if self.pid is None or not is_held_by(self.pid, writer.get_extra_info("peername"), server):
                self.console.problem(self.name, "Another process asked for this function's work and was refused")
                return
            while True:
                request, body = await _read_request(connection, reader)
                if request is None or guard.refusal(request.method.decode(), _headers(request).get):
                    return
                status, headers, answer = await self._answer(request.method.decode(), request.target.decode(), body)
                headers.append(("Content-Length", str(len(answer))))
                writer.write(connection.send(h11.Response(status_code=status, headers=headers)) or b"")
                writer.write(connection.send(h11.Data(data=answer)) or b"")
                writer.write(connection.send(h11.EndOfMessage()) or b"")
                await writer.drain()
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        accepted: tuple[int, list[tuple[str, str]], bytes] = (202, [("Content-Type", "application/json")], b'{"status":"OK"}')
        path = target.removeprefix(API)
        if (method, path) == ("GET", "/invocation/next"):
            self.ready.set()
            self.current = None
            self.current = await self.waiting.get()
            return 200, self.current.headers(), self.current.payload
        if (method, path) == ("POST", "/init/error"):
            self.init_error = Result(body, failed=True)
            return accepted
        invocation = self.current
        if invocation is None or method != "POST" or not path.startswith(f"/invocation/{invocation.id}/"):
            return 400, [("Content-Type", "application/json")], b'{"errorType":"InvalidRequestID"}'
        if path.endswith("/error"):
            invocation.finish(Result(body, failed=True))
        elif len(body) > MAX_RESPONSE_BYTES:
            text = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            invocation.finish(error("Function.ResponseSizeTooLarge", text))
        else:
            invocation.finish(Result(body, failed=False))
        return accepted


def _has_exited(pid: int) -> bool:
    """Looks at the process itself: asyncio learns of its end a little later, and a request may arrive in between."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _headers(request: h11.Request) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in request.headers}


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request | None, bytes]:
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:  # the client closed the connection
            return None, b""


class FunctionPool:
    """A function with its environments: started on demand up to a few, and replaced when they end."""

    def __init__(self, definition: Function, launch: Callable[[Function], Launch], console: Console) -> None:
        self.definition = definition
        self.launch = launch
        self.console = console
        self.environments: list[Environment] = []
        self.free = asyncio.Condition()

    async def invoke(self, event: Any) -> Result:
        """The function's answer to an event, or the error that Lambda reports for it. Raises EventTooLarge."""
        payload = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(payload) > MAX_EVENT_BYTES:
            raise EventTooLarge
        environment = await self._acquire()
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.definition.name}"
        try:
            return await environment.invoke(Invocation(payload, self.definition.timeout_seconds, arn))
        finally:
            await self._release(environment)

    async def _acquire(self) -> Environment:
        async with self.free:
            while True:
                self.environments = [known for known in self.environments if known.alive]
                for environment in self.environments:
                    if environment.idle_since:
                        environment.idle_since = 0
                        return environment
                if len(self.environments) < MAX_ENVIRONMENTS:
                    environment = Environment(self.definition.name, self.console)
                    environment.idle_since = 0
                    self.environments.append(environment)
                    await environment.start(self.launch(self.definition))
                    return environment
                await self.free.wait()

    async def _release(self, environment: Environment) -> None:
        async with self.free:
            environment.idle_since = time.monotonic()
            self.free.notify()
        if environment.init_error is not None or environment not in self.environments:
            await environment.stop()

    async def recycle(self) -> None:
        """Ends all environments, busy ones after their invocation, so that the next invocation runs the changed code."""
        async with self.free:
            former, self.environments = self.environments, []
            self.free.notify_all()
        await asyncio.gather(*(environment.stop() for environment in former if environment.idle_since))

    async def retire_idle(self) -> None:
        async with self.free:
            now = time.monotonic()
            idle = [known for known in self.environments if known.idle_since and now - known.idle_since > IDLE_SECONDS]
            self.environments = [known for known in self.environments if known not in idle]
        await asyncio.gather(*(environment.stop() for environment in idle))

    async def stop(self) -> None:
        former, self.environments = self.environments, []
        await asyncio.gather(*(environment.stop() for environment in former))


def lambda_environment(function: Function, folder: Path) -> dict[str, str]:
    """The variables that Lambda itself sets."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR") if name in os.environ}
    return {
        **inherited,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "LAMBDA_TASK_ROOT": str(folder),
        "TZ": ":UTC",
    }
