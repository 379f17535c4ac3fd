"""`make run` in a developer's daily life: two commands, a busy port, edits, crashes, ctrl-C."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from contract.functions import ROOT, Route, load_functions
from contract.smoke import Client, Surprise, walk
from drill.laptop import STOP_SECONDS, Laptop, row_count
from drill.servers import wait_until
from local.__main__ import settings
from local.cloud import CannotStart, Settings, listen


def test_seeded_data_is_listed_and_summarized(laptop: Laptop) -> None:
    run = laptop.finished(laptop.seed())
    assert (run["status"], run["rows_done"], row_count(laptop)) == ("succeeded", 210, 210)
    orders = laptop.get("/api/orders/?status=paid&email=alice").json()["results"]
    assert orders
    assert all(order["status"] == "paid" and "alice" in order["customer"]["email"] for order in orders)
    summary = laptop.get("/api/orders/summary/").json()["results"]
    spent = [row["total_spent_cents"] for row in summary]
    assert spent == sorted(spent, reverse=True)


ROUTES = [route for function in load_functions() for route in function.routes]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_path_answers_with_and_without_its_trailing_slash(laptop: Laptop, route: Route) -> None:
    path = route.path.replace("{run_id}", "00000000-0000-0000-0000-000000000000")
    path = path.replace("{order_id}", "0").replace("{customer_id}", "0").replace("{item_id}", "0")
    body = "{" if route.method in ("POST", "PATCH") else None
    answers = [laptop.http.request(route.method, spelling, content=body) for spelling in (path, f"{path}/")]
    assert answers[0].status_code == answers[1].status_code != 500
    assert answers[0].text == answers[1].text != '{"message":"Not Found"}'
    assert laptop.http.request(route.method, f"{path}/no/such/thing/here").json() == {"message": "Not Found"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/"),
        ("GET", "/api/order/"),
        ("PUT", "/api/orders/"),
        ("HEAD", "/api/health/"),
        ("OPTIONS", "/api/orders/"),
    ],
)
def test_a_path_without_a_route_is_not_found_in_api_gateways_form(laptop: Laptop, method: str, path: str) -> None:
    answer = laptop.http.request(method, path)
    assert answer.status_code == 404
    assert method == "HEAD" or answer.json() == {"message": "Not Found"}


def test_too_large_a_request_is_refused_in_api_gateways_form(laptop: Laptop) -> None:
    assert laptop.http.post("/api/customers/", content=b"x" * (10 * 1024 * 1024 + 1)).json() == {
        "message": "Request Entity Too Large"
    }
    assert laptop.get("/api/orders/", headers={"x-long": "x" * 10_240}).status_code == 431
    # The function itself refuses what API Gateway and Lambda pass on.
    answer = laptop.http.post("/api/customers/", content=b'{"name": "' + b"x" * 5_900_000 + b'"}')
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize(
    ("media_type", "size"),
    [("application/json", 6_291_456), ("application/json", 9_000_000), ("application/octet-stream", 5_000_000)],
)
def test_what_lambda_refuses_is_refused_although_api_gateway_accepts_it(laptop: Laptop, media_type: str, size: int) -> None:
    """A body that is not text is sent as base64, which makes it a third larger."""
    answer = laptop.http.patch("/api/customers/1/", content=b"x" * size, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()) == (413, {"message": "Request Entity Too Large"})


def test_the_smoke_test_passes_on_the_laptop_too(laptop: Laptop) -> None:
    walk(Client(laptop.url, None), seeding=True)
    with pytest.raises(Surprise, match="seeding"):
        walk(Client(laptop.url, None), seeding=False)


def test_the_smoke_test_says_that_it_needs_a_token(guarded: Laptop) -> None:
    with pytest.raises(Surprise, match="TOKEN="):
        walk(Client(guarded.url, None), seeding=True)


def test_asyncio_can_tell_that_the_gateway_uses_tcp() -> None:
    """Otherwise it leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement."""
    with closing(listen(0)) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_next_can_be_fetched_as_it_is(laptop: Laptop) -> None:
    page = laptop.get("/api/orders/?limit=1").json()
    assert laptop.get(page["next"]).json()["results"] != page["results"]


def test_an_idle_cloud_is_small(tmp_path: Path) -> None:
    """Proportional set size of all processes, while every worker that changes lead to is still warm.

    How many there are of each depends on the machine, so the limit grows with them.
    """
    workers = {each.name for each in load_functions() if each.trigger == "queue"} - {"record_mail_feedback"}
    with Laptop(tmp_path, MAIL_FROM=Settings.mail_from) as laptop:
        laptop.finished(laptop.seed(customers=1000))
        laptop.get("/api/orders/")
        laptop.post("/api/webhooks/", {"url": f"{laptop.url}/api/health/", "types": ["*"]})
        laptop.post("/api/exports/", {"kind": "summary", "format": "csv"})
        item = {"sku": "A", "quantity": 1, "unit_price_cents": 1}
        assert laptop.post("/api/orders/", {"customer_id": 1, "items": [item]}).status_code == 201
        wait_until(lambda: all(laptop.processes(worker) for worker in workers), "Work for every worker")
        processes = [psutil.Process(laptop.process.pid), *laptop.processes()]
        megabytes = sum(map(proportional_bytes, processes)) / 2**20
        warm = len(laptop.processes("awslambdaric"))
        print(f"{megabytes:.0f} MB, {warm} functions warm")
        assert megabytes < 150 + 40 * warm


def test_a_second_cloud_on_the_same_port_or_folder_is_refused_in_one_line(laptop: Laptop, tmp_path: Path) -> None:
    port = laptop.url.rpartition(":")[2]
    for environment, words in (
        ({"PORT": port, "LOCAL_FOLDER": str(tmp_path)}, f"Port {port} is in use"),
        ({"PORT": "0", "LOCAL_FOLDER": str(laptop.folder)}, "is already running"),
    ):
        second = subprocess.run(
            [sys.executable, "-m", "local"],
            cwd=ROOT,
            env={"PYTHONPATH": "layers/orders/python", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert words in second.stderr
        assert len((second.stdout + second.stderr).strip().splitlines()) == 1


@pytest.mark.parametrize(("variable", "value"), [("PORT", "x"), ("DATABASE_URL", "mysql://x")])
def test_an_invalid_setting_is_named(tmp_path: Path, variable: str, value: str) -> None:
    environment = {"PYTHONPATH": "layers/orders/python", "PORT": "0", "LOCAL_FOLDER": str(tmp_path), variable: value}
    answer = subprocess.run(
        [sys.executable, "-m", "local"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert variable in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"), [("PORT", ""), ("PORT", "65536"), ("AUTH", "yes"), ("QUEUE_CHAOS", "explode"), ("CORS_ORIGINS", "*")]
)
def test_so_is_each_other(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Without a process each, which would say the same as that of the port."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(CannotStart, match=variable):
        settings()


def test_the_help_lists_every_setting_and_works_without_the_makefile() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [sys.executable, "-m", "local", "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    source = (ROOT / "local" / "__main__.py").read_text()
    read = set(re.findall(r'environment(?:\.get\(|\[)"(\w+)"|_list\("(\w+)"', source))
    settings = {direct or listed for direct, listed in read}
    assert settings <= set(re.findall(r"\w+", answer.stdout))
    assert len(settings) > 5


def test_a_killed_function_is_replaced(laptop: Laptop) -> None:
    laptop.get("/api/health/")
    killed = laptop.processes("get_health")
    for process in killed:
        process.kill()
    wait_until(lambda: not any(map(is_alive, killed)), "The function's end")
    assert laptop.get("/api/health/").status_code == 200


def test_a_killed_relay_is_replaced_at_once(laptop: Laptop) -> None:
    [killed] = laptop.processes("relay_outbox")
    killed.kill()
    wait_until(lambda: not is_alive(killed), "The relay's end")
    assert laptop.finished(laptop.seed(customers=1), seconds=30)["status"] == "succeeded"


def test_whatever_is_killed_in_the_middle_of_a_seed_nothing_is_lost_or_made_twice(tmp_path: Path) -> None:
    """The workers, the database, and at last the whole cloud; the next start goes on."""
    with Laptop(tmp_path) as laptop:
        first = laptop.seed(customers=1800, orders_per_customer=10, items_per_order=3)
        wait_until(lambda: laptop.get(first).json()["rows_done"] > 0, "The first chunk")
        for worker in laptop.processes("run_seed_chunk"):
            worker.kill()
        assert laptop.finished(first)["rows_done"] == 73_800
        second = laptop.seed(customers=3000, orders_per_customer=10, items_per_order=3)
        wait_until(lambda: laptop.get(second).json()["rows_done"] > 0, "The first chunk of the second run")
        # Its first line. What it has just forked calls itself the same.
        server = psutil.Process(int((tmp_path / "postgres" / "data" / "postmaster.pid").read_text().split()[0]))
        server.kill()
        wait_until(lambda: not is_alive(server), "The database's end")
        wait_until(lambda: laptop.get(second).status_code == 200, "The database's return", 90)
        done = min(laptop.get(second).json()["rows_done"], 123_000 - 1)
        wait_until(lambda: laptop.get(second).json()["rows_done"] > done, "A chunk after the database's return", 90)
        started = laptop.processes()
        laptop.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, started)), "The end of what a killed cloud had started")
    with Laptop(tmp_path) as laptop:
        # However long the database took: another start does not wait for the messages that have failed too often by then.
        assert laptop.finished(second)["rows_done"] == 123_000
        assert row_count(laptop) == 73_800 + 123_000


def test_it_starts_small_stops_without_a_trace_and_goes_on_as_it_was(tmp_path: Path) -> None:
    with Laptop(tmp_path) as laptop:
        assert laptop.processes("awslambdaric") == laptop.processes("relay_outbox")
        assert laptop.output.count("curl") == 3
        assert "postgresql://" in laptop.output
        assert laptop.get("/api/health/").json() == {"status": "ok"}
        assert len(laptop.processes("get_health")) == 1
        customers = [laptop.post("/api/customers/", {"email": "a@b.de", "name": "A"}).json()]
        stop_without_a_trace(laptop, signal.SIGINT)
    with Laptop(tmp_path, SEED_MAX_UNFINISHED_ROWS="1000000") as laptop:
        customers.insert(0, laptop.post("/api/customers/", {"email": "c@d.de", "name": "C"}).json())
        assert laptop.get("/api/customers/").json()["results"] == customers
        run = laptop.seed(customers=1_000_000, orders_per_customer=0)
        refused = laptop.post("/api/dev/seed/", {"customers": 1_000_000})
        assert (refused.status_code, "1,000,000 rows" in refused.json()["detail"]) == (409, True)
        cancelled = laptop.post(f"{run}cancel/")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert cancelled.json()["rows_done"] < 1_000_000
        # Only chunks in progress are still created, and messages left in the queue do not hold up other runs.
        assert laptop.finished(laptop.seed())["status"] == "succeeded"
        stop_without_a_trace(laptop, signal.SIGTERM)
    with Laptop(tmp_path) as laptop:
        assert [laptop.get(f"/api/customers/{known['id']}/").json() for known in customers] == customers
        assert laptop.finished(laptop.seed())["status"] == "succeeded"
        assert laptop.post(f"{run}cancel/").status_code == 200
        assert laptop.get(run).json()["rows_done"] == row_count(laptop) - 420 - len(customers)


def stop_without_a_trace(laptop: Laptop, how: signal.Signals) -> None:
    started = laptop.processes()
    assert len(started) > 2
    assert laptop.stop(how) == 0
    assert not any(map(is_alive, started))


def test_a_queue_that_repeats_delays_and_reorders_changes_nothing(tmp_path: Path) -> None:
    with Laptop(tmp_path, QUEUE_CHAOS="duplicate,delay,reorder") as laptop:
        runs = [laptop.seed(customers=100) for _ in range(3)]
        assert [laptop.finished(run)["status"] for run in runs] == ["succeeded"] * 3
        assert row_count(laptop) == 3 * 2_100


def test_dead_letters_of_the_laptop_can_be_looked_at(laptop: Laptop) -> None:
    environment = {**os.environ, "LOCAL_FOLDER": str(laptop.folder)}
    for queue, status, words in (("seeding", 0, ""), ("nobody", 1, "no such queue")):
        command = [sys.executable, "-m", "contract.redrive", "local", queue, "--show"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (status, ""), done.stderr
        assert words in done.stderr


def test_a_changed_file_is_picked_up_by_the_next_request(tmp_path: Path) -> None:
    """In a copy of the project, as a developer works: edit, save, curl."""
    root = tmp_path / "project"
    for name in ("contract", "functions", "layers", "local"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.json", root)
    handler = root / "functions" / "get_health" / "handler.py"
    with Laptop(tmp_path / "data", root) as laptop:
        assert laptop.get("/api/health/").json() == {"status": "ok"}
        handler.write_text(handler.read_text().replace('"ok"', '"changed"'))
        wait_until(lambda: laptop.get("/api/health/").json() == {"status": "changed"}, "The handler's change")
        models = root / "layers" / "orders" / "python" / "orders" / "errors.py"
        models.write_text(models.read_text().replace("Not found", "Nothing is there"))
        wait_until(lambda: laptop.get("/api/orders/5/").json()["title"] == "Nothing is there", "The layer's change")
        handler.write_text(handler.read_text().replace("return json_", "raise RuntimeError('broken'); return json_"))
        wait_until(lambda: laptop.get("/api/health/").status_code == 500, "The defect")
        assert laptop.get("/api/health/").json() == {"message": "Internal Server Error"}
        wait_until(lambda: "RuntimeError: broken" in laptop.output and "handler.py" in laptop.output, "The traceback")


def test_another_database_can_be_used_instead(tmp_path: Path, laptop: Laptop) -> None:
    port = next(line for line in laptop.lines if "postgresql://" in line).partition("@127.0.0.1:")[2].split("/")[0]
    password = (laptop.folder / "postgres" / "password").read_text()
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    with Laptop(tmp_path, DATABASE_URL=url) as other:
        assert other.get("/api/health/").status_code == 200
        assert other.processes("bin/postgres") == []
        # Roles belong to the server, so both clouds use the same ones: neither locks the other out.
        for cloud in (laptop, other):
            for process in cloud.processes("get_health"):
                process.kill()
                process.wait(STOP_SECONDS)
            assert cloud.get("/api/health/").status_code == 200


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def proportional_bytes(process: psutil.Process) -> int:
    """None of one that has ended meanwhile, such as a connection's."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
