"""The embedded server restarts after a crash, whatever it still has to do."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from drill.servers import wait_until
from local.postgres import FORMER_BACKENDS, EmbeddedPostgres


def test_a_server_starts_again_while_a_process_of_the_crashed_one_is_still_there(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, fsync="off")
    postgres.start()
    try:
        connection = postgres.server.connect()
        straggler = psutil.Process(connection.run("SELECT pg_backend_pid()")[0][0])
        straggler.suspend()
        postgres.stop(signal.SIGKILL)
        with ThreadPoolExecutor(1) as pool:
            restarted = pool.submit(postgres.restart)
            wait_until(lambda: FORMER_BACKENDS in (tmp_path / "log").read_text(), "The refusal to start")
            straggler.resume()
            restarted.result()
            # Before the thread ends, which ends the server that it started.
            again = postgres.server.connect()
            assert again.run("SELECT 1") == [[1]]
            again.close()
        connection.abandon()
    finally:
        postgres.stop()


def test_a_server_that_replays_its_log_is_waited_for(tmp_path: Path) -> None:
    """A standby replays for ever, until it is promoted."""
    postgres = EmbeddedPostgres(tmp_path, fsync="off", hot_standby="off")
    postgres.start()
    postgres.stop()
    data = tmp_path / "data"
    (data / "standby.signal").touch()
    try:
        postgres._launch()
        wait_until(lambda: postgres._answers() is None, "That it replays its log")
        (data / "promote").touch()
        assert postgres.process is not None
        postgres.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: postgres._answers() is True, "The end of that")
    finally:
        postgres.stop()
