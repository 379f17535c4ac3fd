"""Webhooks on the laptop as a developer has them: from a change to what the command line prints."""

import json
import os
import socket
import subprocess
import sys
from typing import Any

from drill.laptop import Laptop
from drill.servers import wait_until


def test_what_happens_is_delivered_to_the_command_line_which_verifies_it(laptop: Laptop) -> None:
    """Each part is a process of its own: the gateway, the functions, the queues' server, and the receiver."""
    # Before anybody listens: what is tried meanwhile is tried again.
    webhook = laptop.post("/api/webhooks/", {"url": "http://127.0.0.1:9/", "types": ["customer.created"]}).json()
    path = f"/api/webhooks/{webhook['id']}/"
    environment = {**os.environ, "ORDERS_URL": laptop.url, "ORDERS_WEBHOOK_SECRET": webhook["secret"]}
    port = str(free_port())
    command = [sys.executable, "-m", "orders_cli", "webhooks", "listen", "--port", port, "--count", "2", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as listening:
        assert laptop.http.patch(path, json={"url": f"http://127.0.0.1:{port}/"}).status_code == 200
        customers = [
            laptop.post("/api/customers/", {"email": f"{name}@shop.example.com", "name": name}).json() for name in "ab"
        ]
        printed, _ = listening.communicate(timeout=90)
    assert listening.returncode == 0
    lines = [json.loads(line) for line in printed.splitlines()]
    assert sorted(customer_of(line) for line in lines) == [customer["id"] for customer in customers]

    def delivered() -> bool:
        found = laptop.get(f"{path}deliveries/").json()["results"]
        return [delivery["status"] for delivery in found] == ["succeeded"] * 2

    wait_until(delivered, "The reports of both deliveries")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def customer_of(line: dict[str, Any]) -> int:
    """Of what `--json` prints of a delivery."""
    return int(line["body"]["customer_id"])
