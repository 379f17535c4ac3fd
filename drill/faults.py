"""What goes wrong: each fault is a function that strikes the stage, puts everything back, and says what it did.

It returns when the cause is gone; how long the service needs from then on is measured by whoever called it.
"""

import os
import random
import signal
import time
from contextlib import suppress

from drill.clock import JUMP_SECONDS
from drill.parts import fault
from drill.stage import ALL_QUEUES, QUEUES, UNREACHABLE, WORKERS, Stage


@fault
def functions_killed(stage: Stage, chance: random.Random) -> str:
    """At any moment, several times."""
    killed = 0
    for _ in range(chance.randint(3, 6)):
        running = stage.environments()
        killed += stage.kill(chance.sample(running, min(len(running), chance.randint(1, 4))))
        time.sleep(chance.uniform(0.1, 0.4))
    return f"{killed} processes of functions killed"


@fault
def functions_killed_before_commit(stage: Stage, chance: random.Random) -> str:
    """Their statements wait for a lock, and end with the functions."""
    lock = stage.connect()
    lock.run("BEGIN")
    lock.run("LOCK TABLE order_events, idempotency_keys IN ACCESS EXCLUSIVE MODE")
    time.sleep(chance.uniform(0.3, 0.8))
    killed = stage.kill(stage.environments())
    ended = stage.terminate_backends()
    lock.run("ROLLBACK")
    lock.close()
    return f"{killed} functions killed while {ended} statements waited for their COMMIT"


@fault
def functions_killed_after_commit(stage: Stage, chance: random.Random) -> str:
    """Their statements have committed, and no function has read it yet."""
    stage.proxy.answers = "swallow"
    time.sleep(chance.uniform(0.2, 0.6))
    killed = stage.kill(stage.environments())
    stage.proxy.answers = "forward"
    return f"{killed} functions killed that waited for the answer to a COMMIT"


@fault
def workers_and_relay_killed(stage: Stage, chance: random.Random) -> str:
    killed = 0
    for _ in range(chance.randint(4, 8)):
        killed += stage.kill(stage.environments(*WORKERS))
        time.sleep(chance.uniform(0.2, 0.8))
    return f"{killed} relays and workers killed"


@fault
def postgres_restarted_immediately(stage: Stage, _: random.Random) -> str:
    stage.postgres.stop(signal.SIGQUIT)
    stage.restart_postgres()
    return "PostgreSQL ended as by a crash, and recovered"


@fault
def postgres_killed(stage: Stage, _: random.Random) -> str:
    stage.postgres.stop(signal.SIGKILL)
    stage.restart_postgres()
    return "the postmaster killed, and PostgreSQL recovered"


@fault
def postgres_stopped(stage: Stage, chance: random.Random) -> str:
    seconds = chance.choice((3, 6, 20))
    stage.postgres.stop()
    time.sleep(seconds)
    stage.restart_postgres()
    return f"PostgreSQL stopped for {seconds} s"


@fault
def backends_terminated(stage: Stage, chance: random.Random) -> str:
    ended = 0
    for _ in range(chance.randint(4, 8)):
        ended += stage.terminate_backends()
        time.sleep(chance.uniform(0.1, 0.4))
    return f"{ended} backends terminated"


@fault
def answers_cut(stage: Stage, chance: random.Random) -> str:
    """After COMMIT, as a rule: the server speaks when it has committed."""
    for _ in range(chance.randint(4, 8)):
        stage.proxy.answers = "cut"
        time.sleep(chance.uniform(0.1, 0.3))
        stage.proxy.answers = "forward"
        time.sleep(chance.uniform(0.2, 0.5))
    return "connections cut before the server's answer"


@fault
def connections_cut(stage: Stage, chance: random.Random) -> str:
    for _ in range(chance.randint(4, 8)):
        stage.proxy.cut()
        time.sleep(chance.uniform(0.1, 0.5))
    return "connections cut at any moment"


@fault
def answers_swallowed(stage: Stage, chance: random.Random) -> str:
    seconds = chance.uniform(1, 3)
    stage.proxy.answers = "swallow"
    time.sleep(seconds)
    stage.proxy.answers = "forward"
    return f"the server's answers swallowed for {seconds:.1f} s"


@fault
def answers_delayed(stage: Stage, chance: random.Random) -> str:
    seconds = chance.uniform(1, 3)
    stage.proxy.answers = "delay"
    time.sleep(seconds)
    stage.proxy.answers = "forward"
    return f"the server's answers delayed for {seconds:.1f} s"


@fault
def slots_exhausted(stage: Stage, chance: random.Random) -> str:
    """By somebody who takes all connections that are left after everybody has lost theirs."""
    taken = []
    seconds = chance.uniform(1, 3)
    until = time.monotonic() + seconds
    stage.terminate_backends()
    while time.monotonic() < until:
        with suppress(*UNREACHABLE):
            taken.append(stage.connect())
            continue
        time.sleep(0.05)
    for connection in taken:
        connection.close()
    return f"all slots taken for {seconds:.1f} s, {len(taken)} by one"


@fault
def rows_locked(stage: Stage, chance: random.Random) -> str:
    """By somebody who is slow to commit: writers of the same rows queue up, and then come all at once."""
    for _ in range(chance.randint(4, 8)):
        connection = stage.connect()
        connection.run("BEGIN")
        connection.run("SELECT FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 200) FOR UPDATE")
        connection.run("SELECT FROM customer_totals WHERE customer_id <= 10 FOR UPDATE")
        time.sleep(chance.uniform(0.2, 0.6))
        connection.run("COMMIT")
        connection.close()
        time.sleep(chance.uniform(0.1, 0.3))
    return "rows of orders and totals locked, again and again"


@fault
def pooler_put_between(stage: Stage, _: random.Random) -> str:
    """From here on, or until the next time, functions share few connections."""
    if stage.pooler is None:
        return "no PgBouncer on this machine"
    stage.between(not stage.pooled)
    return f"connections {'through PgBouncer' if stage.pooled else 'without PgBouncer'} from now on"


@fault
def pooler_restarted(stage: Stage, chance: random.Random) -> str:
    if stage.pooler is None:
        return "no PgBouncer on this machine"
    stage.between(True)
    time.sleep(chance.uniform(0.5, 1.5))
    seconds = chance.uniform(0, 2)
    stage.pooler.stop()
    time.sleep(seconds)
    stage.pooler.start()
    return f"PgBouncer restarted after {seconds:.1f} s"


@fault
def server_read_only(stage: Stage, chance: random.Random) -> str:
    """As the former primary is after a failover. A pooler's sessions end with it, as RDS Proxy's do."""
    seconds = chance.uniform(1, 3)
    stage.sql("ALTER DATABASE orders SET default_transaction_read_only = on")
    stage.terminate_backends()
    time.sleep(seconds)
    connection = stage.connect()
    connection.run("SET default_transaction_read_only = off")
    connection.run("ALTER DATABASE orders RESET default_transaction_read_only")
    connection.close()
    if stage.pooled:
        stage.terminate_backends()
    return f"the server read-only for {seconds:.1f} s"


@fault
def queue_lost_messages(stage: Stage, chance: random.Random) -> str:
    """Somebody takes messages and does nothing."""
    lost = 0
    with stage.losing_reports(), stage.aws("sqs") as client:
        urls = [client.get_queue_url(QueueName=name)["QueueUrl"] for name in ALL_QUEUES]
        for _ in range(60):
            url = chance.choice(urls)
            for message in client.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get("Messages", []):
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                lost += 1
                stage.counts["messages lost"] += 1
            time.sleep(chance.uniform(0.02, 0.05))
    return f"{lost} messages lost"


@fault
def queue_poisoned(stage: Stage, chance: random.Random) -> str:
    """Messages that no worker understands."""
    bodies = ["no JSON", "[]", '{"run": "nobody", "chunk": 1, "outbox": 1}', '{"outbox": "many"}', "{}"]
    with stage.aws("sqs") as client:
        for name in QUEUES:
            url = client.get_queue_url(QueueName=name)["QueueUrl"]
            for _ in range(5):
                client.send_message(QueueUrl=url, MessageBody=chance.choice(bodies))
    return f"{5 * len(QUEUES)} messages that no worker understands"


@fault
def queue_refusing(stage: Stage, chance: random.Random) -> str:
    """The queues are gone with all of their messages, and come back empty."""
    seconds = chance.uniform(1, 4)
    wanted = ["VisibilityTimeout", "RedrivePolicy"]
    with stage.losing_reports(), stage.aws("sqs") as client:
        attributes = {}
        for name in QUEUES:
            url = client.get_queue_url(QueueName=name)["QueueUrl"]
            attributes[name] = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            client.delete_queue(QueueUrl=url)
        time.sleep(seconds)
        for name in QUEUES:
            client.create_queue(QueueName=name, Attributes=attributes[name])
    return f"SQS without queues for {seconds:.1f} s"


@fault
def clock_jumped(stage: Stage, chance: random.Random) -> str:
    """Leases and pauses end too early or too late, and what happens later may have the earlier time."""
    if not stage.clock.environment:
        return "no clock that can jump on this machine"
    ahead, seconds = chance.choice((-JUMP_SECONDS, JUMP_SECONDS)), chance.uniform(2, 6)
    with stage.clock.wrong(ahead):
        time.sleep(seconds)
        [[shown]] = stage.sql("SELECT extract(epoch FROM clock_timestamp())::float8")
        wrong = shown - time.time()
    return f"PostgreSQL's clock {abs(wrong):.0f} s {'fast' if wrong > 0 else 'slow'} for {seconds:.1f} s"


@fault
def cloud_killed(stage: Stage, _: random.Random) -> str:
    begun = time.monotonic()
    stage.kill_cloud()
    stage.start_cloud()
    stage.killed.append((begun, time.monotonic()))
    return "the whole cloud killed and started again"


@fault
def disk_full(stage: Stage, chance: random.Random) -> str:
    """To the last byte. If the WAL cannot be written either, PostgreSQL ends itself."""
    if not stage.mounted:
        return "no file system of its own here"
    filler = stage.folder / "disk" / "filler"
    seconds = chance.uniform(3, 5)
    until = time.monotonic() + seconds
    with filler.open("wb") as file:
        while time.monotonic() < until:
            free = os.statvfs(filler).f_bavail * os.statvfs(filler).f_frsize
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free or 1)
            time.sleep(0.02)
    filler.unlink()
    crashed = stage.postgres.ended()
    if crashed:
        stage.restart_postgres()
    return f"the disk full for {seconds:.1f} s{', PostgreSQL ended by it' if crashed else ''}"
