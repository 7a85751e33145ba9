"""The prediction log is written by a process of its own, which neither the server nor a signal leaves behind."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serve.telemetry.log_process import LogProcess, LogSource, LogWriteError, PredictionBatch
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving_process, wait_for

if TYPE_CHECKING:
    import subprocess

SOURCE = LogSource("parcels", "v", "", [])


def writers(server: "subprocess.Popen[str]") -> list[int]:
    """The processes that a server has started."""
    lists = Path(f"/proc/{server.pid}/task").glob("*/children")
    return [int(number) for path in lists for number in path.read_text().split()]


def is_alive(number: int) -> bool:
    """Whether the process runs. A dead one whose parent has not asked for it yet does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def stored(file: Path) -> list[Any]:
    with sqlite3.connect(file) as connection:
        return list(connection.execute('SELECT request_id, "row", answer FROM predictions ORDER BY id'))


def test_a_large_request_is_logged_in_its_order(tmp_path: Path) -> None:
    """It is sent in several messages."""
    process = LogProcess(f"sqlite:///{tmp_path}/log.db")
    predictions = [n / 1000 for n in range(450)]
    process.write([PredictionBatch("a", 0.0, SOURCE, [{"n": n} for n in range(450)], predictions)])
    process.close()
    assert stored(tmp_path / "log.db") == [("a", n, n / 1000) for n in range(450)]


def test_a_row_without_its_time_is_logged_at_the_time_of_its_prediction(tmp_path: Path) -> None:
    process = LogProcess(f"sqlite:///{tmp_path}/log.db")
    rows: list[dict[str, Any]] = [{"sent": "2014-01-02T03:04:05", "note": "a\nb"}, {}]
    process.write([PredictionBatch("a", 0.0, LogSource("parcels", "v", "sent", []), rows, [0.5, 0.5])])
    process.close()
    with sqlite3.connect(tmp_path / "log.db") as connection:
        logged = connection.execute('SELECT "at", inputs FROM predictions ORDER BY id').fetchall()
    assert logged[0] == ("2014-01-02 03:04:05.000000", '{"sent":"2014-01-02T03:04:05","note":"a\\nb"}')
    assert logged[1] == ("1970-01-01 00:00:00.000000", "{}")


def test_the_reason_of_the_database_arrives_and_the_process_works_on(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file where a folder should be")
    process = LogProcess(f"sqlite:///{tmp_path}/there/log.db")
    with pytest.raises(LogWriteError, match="Error: .*there"):
        process.write([PredictionBatch("a", 0.0, SOURCE, [{}], [0.5])])
    (tmp_path / "there").unlink()
    process.write([PredictionBatch("b", 0.0, SOURCE, [{}], [0.5])])
    assert process.store_labels([("b", 0, 1.0), ("c", 0, 1.0)]) == [("c", 0)]
    process.close()
    assert stored(tmp_path / "there/log.db") == [("b", 0, 0.5)]


def test_what_a_dead_process_did_not_write_a_new_one_writes(parcels: Parcels, tmp_path: Path) -> None:
    with serving_process(parcels.store, LOG_URL=f"sqlite:///{tmp_path}/log.db") as (client, server):
        client.post("/predict", json=REQUIRED, headers={"x-request-id": "a"})
        wait_for(client, "logged_rows_total 1.0")
        (first,) = writers(server)
        os.kill(first, signal.SIGKILL)
        client.post("/predict", json=REQUIRED, headers={"x-request-id": "b"})
        wait_for(client, "logged_rows_total 2.0")
        assert "log_failures_total 1.0" in client.get("/metrics").text
        assert client.post("/feedback", json={"request_id": "b", "label": 1}).json() == {"taken": 1, "unknown": []}
    assert [row[0] for row in stored(tmp_path / "log.db")] == ["a", "b"]


def test_a_signal_for_all_processes_does_not_take_the_log_first(parcels: Parcels, tmp_path: Path) -> None:
    """As a terminal's Ctrl-C and systemd send it."""
    with serving_process(parcels.store, LOG_URL=f"sqlite:///{tmp_path}/log.db") as (client, server):
        client.post("/predict", json=REQUIRED)
        wait_for(client, "logged_rows_total 1.0")
        (writer,) = writers(server)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(writer, number)
        client.post("/predict", json=REQUIRED)
        wait_for(client, "logged_rows_total 2.0")
        assert writers(server) == [writer]
    assert not is_alive(writer)


def test_the_process_ends_with_a_server_that_was_killed(parcels: Parcels, tmp_path: Path) -> None:
    with serving_process(parcels.store, LOG_URL=f"sqlite:///{tmp_path}/log.db") as (client, server):
        client.post("/predict", json=REQUIRED)
        wait_for(client, "logged_rows_total 1.0")
        (writer,) = writers(server)
        server.kill()
        wait_until(lambda: not is_alive(writer))


def test_the_password_of_the_database_is_on_no_command_line(parcels: Parcels) -> None:
    with serving_process(parcels.store, LOG_URL="postgresql://me:hidden@127.0.0.1:1/db") as (client, server):
        client.post("/predict", json=REQUIRED)
        wait_for(client, "log_failures_total 1.0")
        (writer,) = writers(server)
        assert "hidden" not in Path(f"/proc/{writer}/cmdline").read_text()
