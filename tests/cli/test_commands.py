"""Every command against the laptop cloud."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from contract.functions import OPENAPI
from drill.laptop import Laptop
from drill.servers import wait_until
from orders_cli.commands.events import TYPES
from orders_cli.commands.orders import ACTIONS, STATUSES, cancel
from tests.cli.conftest import PROGRAM, Shell, heed_ctrl_c
from tests.cli.server import Asked, Reply, SmallServer


def new_customer(orders: Shell, name: str = "Alice Nguyen") -> Any:
    return orders.ok("customers", "create", "--email", f"{uuid4().hex}@example.com", "--name", name, "--json").json


def new_order(orders: Shell, customer: int, *items: str) -> Any:
    options = [word for item in items or ("MUG-11:2:1250",) for word in ("--item", item)]
    return orders.ok("create", "--customer", customer, *options, "--json").json


def test_an_order_lives_its_whole_life(orders: Shell) -> None:
    customer = new_customer(orders)
    order = new_order(orders, customer["id"], "MUG-11:2:1250", "size:XL:1:300")
    assert (order["total_cents"], order["items"][1]["sku"]) == (2800, "size:XL")
    for action, status in (("pay", "paid"), ("ship", "shipped"), ("deliver", "delivered"), ("deliver", "delivered")):
        assert orders.ok(action, order["id"], "--json").json["status"] == status
    shown = orders.ok("show", order["id"], "--json").json
    assert (shown["id"], shown["status"], len(shown["events"])) == (order["id"], "delivered", 4)
    text = orders.ok("show", order["id"]).out
    assert text.startswith(f"Order {order['id']}: delivered, 28.00\n")
    assert "  2 × MUG-11 at 12.50 = 25.00\n" in text
    assert len(re.findall(r"^  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", text, re.MULTILINE)) == 4


def test_an_order_is_cancelled_with_a_reason(orders: Shell) -> None:
    customer = new_customer(orders)["id"]
    for reason in ((), ("--reason", "Ordered twice")):
        order = new_order(orders, customer)["id"]
        assert orders.ok("cancel", order, *reason).out.startswith(f"Order {order}: cancelled, 25.00\n")
        *_, event = orders.ok("show", order, "--json").json["events"]
        assert event["changes"].get("reason") == (reason[1] if reason else None)


def test_an_order_is_found_by_its_reference_and_has_metadata(orders: Shell) -> None:
    reference, customer = uuid4().hex, new_customer(orders)["id"]
    item = ("--item", "MUG-11:2:1250")
    words = (
        "create",
        "--customer",
        customer,
        *item,
        "--reference",
        reference,
        "--metadata",
        "channel=web",
        "--metadata",
        "a=b=c",
    )
    order = orders.ok(*words, "--json").json
    assert (order["reference"], order["metadata"]) == (reference, {"channel": "web", "a": "b=c"})
    taken = orders(*words, "--json")
    assert (taken.code, taken.error["status"]) == (1, 409)
    assert orders.ok("list", "--reference", reference, "--json").lines == [order]
    changed = orders.ok("set", order["id"], "--metadata", "gift=", "--remove", "a", "--json").json
    assert changed["metadata"] == {"channel": "web", "gift": ""}
    shown = orders.ok("show", order["id"]).out
    assert f"\n  reference {reference}\n" in shown
    assert "\n  metadata: gift=, channel=web\n" in shown
    assert "not '=web'" in orders("set", 1, "--metadata", "=web").err
    for wrong in (("set", 1), ("set", 1, "--metadata", "gift"), ("create", "--from", "-", "--reference", "x")):
        assert orders(*wrong).code == 2, wrong


def test_a_customer_has_metadata_and_is_erased(orders: Shell) -> None:
    email = f"{uuid4().hex}@example.com"
    words = ("customers", "create", "--email", email, "--name", "Erin", "--metadata", "crm=A-1", "--json")
    number = orders.ok(*words).json["id"]
    changed = orders.ok("customers", "update", number, "--metadata", "segment=retail", "--remove", "crm", "--json").json
    assert changed["metadata"] == {"segment": "retail"}
    assert orders.ok("customers", "show", number).out.endswith("\n  metadata: segment=retail\n")
    assert [orders("customers", "erase", number, stdin=stdin).code for stdin in ("n\n", "")] == [6, 2]
    assert orders.ok("customers", "show", number, "--json").json["email"] == email
    for answer in ({"stdin": "y\n"}, {}):
        erased = orders.ok("customers", "erase", number, "--json", *([] if answer else ["--yes"]), **answer).json
        assert (erased["name"], erased["email"], erased["metadata"]) == ("erased", f"erased-{number}@erased.invalid", {})
    gone = new_customer(orders)["id"]
    orders.ok("customers", "delete", gone, "--yes")
    assert orders.ok("customers", "erase", gone, "--yes").out.startswith(f"Customer {gone} was deleted before")
    assert orders.ok("customers", "erase", gone, "--yes", "--json").json == {"id": gone, "erased": True}


def test_an_order_is_read_from_a_file_and_from_stdin(orders: Shell, tmp_path: Path) -> None:
    body = json.dumps(
        {"customer_id": new_customer(orders)["id"], "items": [{"sku": "TEE-é", "quantity": 1, "unit_price_cents": 5}]}
    )
    (tmp_path / "order.json").write_text(body)
    for source, stdin in ((str(tmp_path / "order.json"), ""), ("-", body)):
        assert orders.ok("create", "--from", source, "--json", stdin=stdin).json["items"][0]["sku"] == "TEE-é"
    # As some editors and shells of Windows write it.
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "order.json").write_text(body, encoding=encoding)
        orders.ok("create", "--from", tmp_path / "order.json")


def test_a_list_has_filters_a_limit_and_all_of_its_pages(orders: Shell, laptop: Laptop) -> None:
    laptop.finished(laptop.seed(customers=50, orders_per_customer=5, items_per_order=1))
    everything = orders.ok("list", "--all", "--json").lines
    assert len(everything) >= 250
    assert len({order["id"] for order in everything}) == len(everything)
    assert len(orders.ok("list", "--limit", 3, "--json").lines) == 3
    assert len(orders.ok("list", "--limit", 203, "--json").lines) == 203
    paid = orders.ok("list", "--all", "--status", "paid", "--email", "ALICE", "--json").lines
    assert paid == [o for o in everything if o["status"] == "paid" and "alice" in o["customer"]["email"]]
    customer = everything[0]["customer"]["id"]
    mine = orders.ok("list", "--customer", customer, "--json").lines
    assert mine == [order for order in everything if order["customer"]["id"] == customer]
    # Not on a terminal: a line per row, tabs between the columns, no heading.
    rows = [line.split("\t") for line in orders.ok("list", "--customer", customer).out.splitlines()]
    assert [(int(row[0]), row[1]) for row in rows] == [(order["id"], order["status"]) for order in mine]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("list",), "/api/orders/"),
        (("summary",), "/api/orders/summary/"),
        (("customers", "list"), "/api/customers/"),
        (("webhooks", "list"), "/api/webhooks/"),
        (("webhooks", "deliveries", 1), "/api/webhooks/1/deliveries/"),
    ],
)
def test_a_limit_holds_also_for_all_pages(shell: Shell, words: tuple[str | int, ...], path: str) -> None:
    def page(asked: Asked) -> Reply:
        first, count = int(asked.query.get("cursor", "0")), int(asked.query["limit"])
        rows = [{"id": number} for number in range(first, min(first + count, 450))]
        return 200, {"results": rows, "next": None, "next_cursor": str(first + count) if first + count < 450 else None}

    with SmallServer() as server:
        server.answer("GET", path, page)
        for options, rows, pages in (
            ((), 50, 1),
            (("--all",), 450, 3),
            (("--all", "--limit", 3), 3, 1),
            (("--limit", 203, "--all"), 203, 2),
            (("--limit", 200, "--all"), 200, 1),
        ):
            server.requests.clear()
            shown = shell.ok(*words, *options, "--json", "--url", server.url).lines
            assert (len(shown), len(server.requests)) == (rows, pages), options


def test_customers_are_created_shown_listed_changed_and_deleted(orders: Shell) -> None:
    customer = new_customer(orders)
    number = customer["id"]
    assert orders.ok("customers", "show", number, "--json").json == customer
    assert orders.ok("customers", "update", number, "--name", "Alice B.", "--json").json["name"] == "Alice B."
    assert [row["name"] for row in orders.ok("customers", "list", "--email", customer["email"], "--json").lines] == ["Alice B."]
    assert orders.ok("customers", "show", number).out.startswith(f"Customer {number}: Alice B. <{customer['email']}>")
    assert [orders("customers", "delete", number, stdin=stdin).code for stdin in ("n\n", "")] == [6, 2]
    nobody = orders("customers", "delete", number, "--json")
    assert (nobody.code, nobody.error["title"]) == (2, "Nobody is there to ask; --yes does it without asking")
    assert orders.ok("customers", "delete", number, stdin="y\n").out == f"Customer {number} is deleted\n"
    assert orders("customers", "show", number).code == 1
    spare = new_customer(orders)["id"]
    assert orders.ok("customers", "delete", spare, "--yes", "--json").json == {"id": spare, "deleted": True}


def test_the_summary_counts_what_was_spent(orders: Shell) -> None:
    customer = new_customer(orders)["id"]
    new_order(orders, customer, "GOLD:1000000:1000000")
    first = orders.ok("summary", "--limit", 1, "--json").json
    assert (first["customer_id"], first["total_spent_cents"]) == (customer, 10**12)
    assert orders.ok("summary", "--limit", 1).out.split("\t")[3] == "10000000000.00"


def test_a_seed_run_is_watched_until_it_ends(orders: Shell) -> None:
    numbers = ("--customers", 20, "--orders-per-customer", 2, "--items-per-order", 1)
    run = orders.ok("seed", *numbers, "--json").json
    assert (run["status"], run["rows_done"], run["rows_total"]) == ("succeeded", 100, 100)
    assert orders.ok("seed", "--run", run["id"]).out == f"Run {run['id']}: succeeded, 100 of 100 rows\n"
    detached = orders.ok("seed", *numbers, "--detach", "--json").json
    assert orders.ok("seed", "--run", detached["id"], "--json").json["rows_done"] == 100
    assert orders("seed", "--run", run["id"], "--cancel").code == 1


def test_a_cancelled_run_ends_without_success(orders: Shell) -> None:
    run = orders.ok("seed", "--customers", 100_000, "--detach", "--json").json["id"]
    assert orders.ok("seed", "--run", run, "--cancel", "--json").json["status"] == "cancelled"
    ended = orders("seed", "--run", run)
    assert (ended.code, "cancelled" in ended.err) == (6, True)


def test_the_same_key_creates_once(orders: Shell) -> None:
    email = f"{uuid4().hex}@example.com"
    words = ("customers", "create", "--email", email, "--name", "Once", "--idempotency-key", uuid4().hex, "--json")
    assert orders.ok(*words).json == orders.ok(*words).json


def on_a_terminal(orders: Shell, *words: str | int, answer: str = "") -> tuple[int, str]:
    """The exit code, and what a terminal shows of both streams. answer: what somebody types, if there is anybody."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *map(str, words)],
        env={**orders.full_environment(), "TERM": "xterm"},
        stdin=slave if answer else subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - one system call
    )
    os.close(slave)
    os.write(master, answer.encode())
    shown = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    return process.wait(), re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())


def test_a_person_is_asked_before_a_customer_is_deleted(orders: Shell) -> None:
    number = new_customer(orders)["id"]
    code, shown = on_a_terminal(orders, "customers", "delete", number, answer="n\n")
    assert (code, f"Delete customer {number}? [y/N] " in shown, "orders: Nothing was deleted" in shown) == (6, True, True)
    # Ctrl-D
    code, shown = on_a_terminal(orders, "customers", "delete", number, answer="\x04")
    assert (code, shown.splitlines()[-1]) == (2, "orders: Nobody is there to ask; --yes does it without asking")
    assert on_a_terminal(orders, "customers", "delete", number, answer="y\n")[0] == 0


def test_a_terminal_shows_tables_and_a_progress_bar(orders: Shell) -> None:
    order = new_order(orders, new_customer(orders)["id"])
    code, shown = on_a_terminal(orders, "list", "--limit", 1)
    heading, row = shown.splitlines()[:2]
    assert (code, heading.split()) == (0, ["ORDER", "STATUS", "TOTAL", "CREATED", "CUSTOMER"])
    assert row.split()[:3] == [str(order["id"]), "pending", "25.00"]
    orders.environment["COLUMNS"] = "70"
    narrow = on_a_terminal(orders, "list", "--limit", 1)[1].splitlines()[1]
    created = order["created_at"][:19].replace("T", " ")
    assert (created in narrow, narrow.rstrip()[-1], len(narrow) <= 70) == (True, "…", True)
    code, shown = on_a_terminal(orders, "seed", "--customers", 3)
    assert (code, "Seeding" in shown, "━" in shown) == (0, True, True)
    assert "succeeded, 63 of 63 rows" in shown


def test_ctrl_c_stops_watching_and_says_how_to_go_on(orders: Shell, laptop: Laptop) -> None:
    before = len(laptop.lines)
    process = orders.start("seed", "--customers", 200_000)
    # The gateway's terminal shows each request: the run has been looked at twice.
    wait_until(lambda: "".join(laptop.lines[before:]).count("GET /api/dev/seed/") > 1, "Looks at the run", 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    found = re.search(r"orders seed --run (\S+)` watches it", err)
    assert found, err
    orders("seed", "--run", found[1], "--cancel")


def test_a_closed_pipe_is_no_error_message(orders: Shell, laptop: Laptop) -> None:
    laptop.finished(laptop.seed(customers=100, orders_per_customer=10, items_per_order=1))
    process = orders.start("list", "--all", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (141, "")
    process.stderr.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("list --limit 1 >&-", 0),
        ("list --limit 1 2>&-", 0),
        ("show 999999999 2>&-", 1),
        ("create --from - <&-", 2),
        ("customers delete 1 <&-", 2),
        ("list --limit 1 <&- >&- 2>&-", 0),
    ],
)
def test_a_stream_that_the_caller_has_closed_is_an_empty_one(orders: Shell, words: str, code: int) -> None:
    """As schedulers and daemons start programs."""
    command = ["sh", "-c", f"{PROGRAM} {words}"]
    ended = subprocess.run(command, env=orders.full_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)


def test_what_completion_suggests_is_in_the_contract() -> None:
    contract = json.loads(OPENAPI.read_text())
    assert list(STATUSES) == contract["components"]["schemas"]["OrderStatus"]["enum"]
    assert list(TYPES) == contract["components"]["schemas"]["EventType"]["enum"]
    for action, text in {**ACTIONS, "cancel": cancel.__doc__}.items():
        assert contract["paths"][f"/api/orders/{{order_id}}/{action}/"]["post"]["summary"] == text


@pytest.mark.parametrize(
    ("words", "suggested"),
    [("orders li", "list"), ("orders list --status pa", "paid"), ("orders customers up", "update")],
)
def test_bash_completes_commands_and_statuses(shell: Shell, words: str, suggested: str) -> None:
    count = str(len(words.split()) - 1)
    done = shell(_ORDERS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=count)
    assert done.out.split() == [suggested]


@pytest.mark.parametrize(
    ("name", "sign"), [("bash", "complete -o default"), ("zsh", "#compdef orders"), ("fish", "complete --")]
)
def test_completion_is_made_for_three_shells(shell: Shell, name: str, sign: str) -> None:
    script = shell.ok(_ORDERS_COMPLETE=f"source_{name}").out
    assert sign in script
    if name == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
