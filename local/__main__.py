"""The laptop cloud: the whole order service on this machine, without Docker or an AWS account.

Settings, all optional, as environment variables:

  PORT=8000            the gateway's port on 127.0.0.1
  DATABASE_URL=…       postgresql://owner:password@host:port/database, instead of the embedded server
  AUTH=on              requires tokens, as in the cloud; a local issuer prints two
  JWT_ISSUER=…         an external issuer instead (with JWT_AUDIENCE)
  CORS_ORIGINS=…       origins whose pages may call, separated by commas; by default this machine's (http://localhost:* …)
  ALLOWED_HOSTS=…      further host names that the gateway answers to, separated by commas: those of a tunnel or a proxy
  QUEUE_CHAOS=…        what the queue does to messages: duplicate, delay, reorder, separated by commas
  LOG_LEVEL=INFO       DEBUG also shows metrics
  SEED_MAX_UNFINISHED_ROWS=50000000  how many rows all seed runs together may still have to create
  MAIL_FROM=…          whom mails are from, which lie in LOCAL_FOLDER/mail; empty: none are sent
  LOCAL_FOLDER=.local  where data, keys and logs are stored

While there is a file refusing/s3, refusing/sqs or refusing/ses in LOCAL_FOLDER, the laptop's S3, SQS or SES answers 503.
"""

import asyncio
import contextlib
import fcntl
import gc
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# So that `python -m local` also works without the Makefile's PYTHONPATH.
sys.path.insert(0, str(Path(__file__).parents[1] / "layers" / "orders" / "python"))

from contract.functions import load_functions
from local.cloud import CannotStart, Cloud, Settings
from local.console import Console
from local.doctor import HIGHEST_PORT
from local.postgres import PostgresFailed
from local.sqs import Chaos

SCOPES = sorted({scope for function in load_functions() for route in function.routes for scope in route.scopes})
HOST = re.compile(r"([\w.-]+|\[[\da-f:]+\])(:\d+)?")
ORIGIN = re.compile(r"https?://([\w.-]+|\[[\da-f:]+\])(:(\d+|\*))?")


def settings() -> Settings:
    """From the environment. Raises CannotStart for an invalid value."""
    environment = os.environ
    defaults = Settings()
    port = environment.get("PORT", "8000")
    if not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise CannotStart(f"PORT must be a number up to {HIGHEST_PORT}, not {port!r}")
    if environment.get("AUTH", "off") not in ("on", "off"):
        raise CannotStart(f"AUTH must be on or off, not {environment['AUTH']!r}")
    if not (unfinished := environment.get("SEED_MAX_UNFINISHED_ROWS", str(defaults.seed_max_unfinished_rows))).isdigit():
        raise CannotStart(f"SEED_MAX_UNFINISHED_ROWS must be a number, not {unfinished!r}")
    try:
        chaos = Chaos.parse(environment.get("QUEUE_CHAOS", ""))
    except ValueError as reason:
        raise CannotStart(str(reason)) from reason
    return Settings(
        folder=Path(environment.get("LOCAL_FOLDER", defaults.folder)).resolve(),
        port=int(port),
        database_url=environment.get("DATABASE_URL") or None,
        auth=environment.get("AUTH") == "on",
        jwt_issuer=environment.get("JWT_ISSUER") or None,
        jwt_audience=environment.get("JWT_AUDIENCE", defaults.jwt_audience),
        cors_origins=_list("CORS_ORIGINS", defaults.cors_origins, ORIGIN, "origins such as http://localhost:5173"),
        allowed_hosts=_list("ALLOWED_HOSTS", (), HOST, "names such as laptop.example.com or localhost:9000"),
        chaos=chaos,
        log_level=environment.get("LOG_LEVEL", defaults.log_level),
        seed_max_unfinished_rows=int(unfinished),
        mail_from=environment.get("MAIL_FROM", defaults.mail_from),
    )


def _list(variable: str, default: tuple[str, ...], form: re.Pattern[str], examples: str) -> tuple[str, ...]:
    if (text := os.environ.get(variable)) is None:
        return default
    values = tuple(value.strip().lower() for value in text.split(",") if value.strip())
    for value in values:
        if not form.fullmatch(value):
            raise CannotStart(f"{variable} must be {examples}, separated by commas, not {value!r}")
    return values


async def serve(cloud: Cloud) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    starting = asyncio.create_task(_start_and_announce(cloud))
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
        else:
            starting.cancel()
        await stopping
        cloud.console.say("\nStopping")
    finally:
        stopping.cancel()
        await cloud.stop()


async def _start_and_announce(cloud: Cloud) -> None:
    await cloud.start()
    cloud.console.say(ready_message(cloud))


def ready_message(cloud: Cloud) -> str:
    header = '-H "Authorization: Bearer $TOKEN" ' if cloud.issuer else ""
    lines = [
        "",
        f"  The order service is ready:  {cloud.url}  (the console, in a browser)",
        f"  Documentation:               {cloud.url}/api/docs/",
        f"  Database:                    {cloud.database.address}",
        "",
        "  Try:",
        f"    curl {header}-X POST {cloud.url}/api/dev/seed/",
        f"    curl {header}'{cloud.url}/api/orders/?status=paid&email=alice'",
        f"    curl {header}{cloud.url}/api/orders/summary/",
        "",
    ]
    if cloud.issuer:
        read_only = [scope for scope in SCOPES if scope.endswith("/read")]
        lines += [f"  TOKEN={cloud.issuer.token(SCOPES)}", "", f"  Read only: {cloud.issuer.token(read_only)}", ""]
    return "\n".join([*lines, "  Changed files are picked up by the next request. Ctrl-C stops everything.", ""])


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Two clouds must not share a data folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            raise CannotStart(f"The laptop cloud is already running in {folder}") from reason
        yield


def main() -> None:
    if sys.argv[1:]:
        print(__doc__)
        return
    # What has been imported stays until the end, so that nothing in it is garbage.
    gc.freeze()
    console = Console(debug=os.environ.get("LOG_LEVEL") == "DEBUG")
    try:
        chosen = settings()
        with only_one(chosen.folder):
            asyncio.run(serve(Cloud(chosen, console)))
    except (CannotStart, PostgresFailed) as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
