"""An internet in a box: deliver_webhook under the runtime client where every address is ours, and so is every name.

`python -m tests.internet NAMES` runs in a network namespace of its own (see tests/local/test_webhook_targets.py). It prints as
JSON what became of a delivery to each name: the reports in the order of the attempts, the addresses that were connected to, and
how often the name was resolved.
"""

import asyncio
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from contract.edge import variables
from contract.functions import ROOT, load_functions
from local.console import Console
from local.runtime import FunctionPool, Launch, lambda_environment
from local.sqs import QueueServer

RESOLVER = "127.0.0.53"
# By name, what each question for its addresses is answered; the last answer again and again.
Names = dict[str, list[list[str]]]


class Resolver(socketserver.ThreadingUDPServer):
    """Answers at once, and with no time to live: the next question may get another answer."""

    daemon_threads = True

    def __init__(self, names: Names) -> None:
        super().__init__((RESOLVER, 53), Question)
        self.names = names
        self.asked: dict[str, int] = defaultdict(int)


class Question(socketserver.BaseRequestHandler):
    server: Resolver

    def handle(self) -> None:
        data, connection = self.request
        query = dns.message.from_wire(data)
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        answers = self.server.names.get(name, [[]])
        # Each lookup is one question for IPv4 and one for IPv6.
        turn = self.server.asked[name]
        if question.rdtype == dns.rdatatype.A:
            self.server.asked[name] += 1
        for address in answers[min(turn, len(answers) - 1)]:
            kind = "AAAA" if ":" in address else "A"
            if dns.rdatatype.from_text(kind) == question.rdtype:
                reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, address))
        connection.sendto(reply.to_wire(), self.client_address)


class Receiver(ThreadingHTTPServer):
    """At port 443 of every address of one family."""

    daemon_threads = True
    connected: list[str] = []  # noqa: RUF012 - of both families

    def __init__(self, family: socket.AddressFamily, context: ssl.SSLContext) -> None:
        self.address_family = family
        super().__init__(("::" if family == socket.AF_INET6 else "0.0.0.0", 443), Answer)
        self.context = context

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connected.append(connection.getsockname()[0])
        return self.context.wrap_socket(connection, server_side=True), address


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The reports say what was answered."""


def certificate(folder: Path) -> Path:
    """For any name of the test's."""
    file = folder / "example.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += [
        "-subj",
        "/CN=example",
        "-addext",
        "subjectAltName=DNS:*.example.com",
        "-keyout",
        str(file),
        "-out",
        f"{file}.crt",
    ]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


def records(names: list[str]) -> dict[str, Any]:
    """An event of Lambda's with a delivery to each name."""
    message = {
        "outbox": 1,
        "round": 0,
        "attempt": 1,
        "id": "1",
        "timestamp": int(time.time()),
        "signature": "v1,",
        "body": "{}",
    }
    bodies = [json.dumps({**message, "body": "{}", "delivery": name, "url": f"https://{name}/hook"}) for name in names]
    return {"Records": [{"messageId": str(place), "body": body} for place, body in enumerate(bodies)]}


async def deliver(queues: QueueServer, authority: Path, rounds: list[list[str]]) -> None:
    functions = {function.name: function for function in load_functions()}
    worker = functions["deliver_webhook"]
    environment = {
        **lambda_environment(worker, worker.folder),
        **variables(worker, stage="prod", settings={"WEBHOOKS_CA_FILE": str(authority)}, queues=queues.urls),
        "AWS_ENDPOINT_URL_SQS": queues.endpoint,
        "PYTHONPATH": str(ROOT / "layers" / "orders" / "python"),
    }
    launch = Launch([sys.executable, "-m", "awslambdaric", "handler.handler"], worker.folder, environment)
    pool = FunctionPool(worker, lambda _: launch, Console(sys.stderr))
    try:
        for names in rounds:
            result = await pool.invoke(records(names))
            assert not result.failed, result.json
            assert result.json == {"batchItemFailures": []}
    finally:
        await pool.stop()


def main() -> None:
    names: Names = json.loads(sys.argv[1])
    functions = [each for each in load_functions() if each.name == "settle_webhook"]
    with tempfile.TemporaryDirectory() as folder:
        authority = certificate(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority)
        resolver = Resolver(names)
        servers = [resolver, Receiver(socket.AF_INET, context), Receiver(socket.AF_INET6, context)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        queues = QueueServer(functions)
        # Whose answers change is tried again.
        rounds = [list(names), [name for name, answers in names.items() if len(answers) > 1]]
        asyncio.run(deliver(queues, authority, rounds))
    found: dict[str, list[Any]] = defaultdict(list)
    url = queues.urls["webhook_reports"]
    with suppress(KeyError):
        while True:
            for message in queues.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
                report = json.loads(message["Body"])
                found[report["delivery"]].append([report["status_code"], report["error"]])
    print(json.dumps({"reports": found, "connected": sorted(Receiver.connected), "asked": resolver.asked}))


if __name__ == "__main__":
    main()
