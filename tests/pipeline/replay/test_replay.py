"""Months of data through running servers: what the loop is worth, in minutes."""

import socket
import subprocess
import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline.errors import ConfigError, PipelineError
from pipeline.replay import replay
from pipeline.replay.schedule import Schedule, end_of_span
from pipeline.replay.server_process import ServerProcess
from tests.support.parcels import Parcels
from tests.support.replayed import TURNS, Replayed
from tests.support.timed import config_in, made
from tests.support.toy import Toy

pytestmark = pytest.mark.usefixtures("blank_pictures")


def test_a_world_that_turns_round_is_noticed_and_a_better_model_takes_over(tmp_path: Path) -> None:
    """One replay, since it takes seconds: every row is asked once, both models answer the same until the alarm has
    led to a better one, and what was gained is told by month.
    """
    replayed = Replayed(tmp_path)
    asked, told, events = replayed.played.rows, replayed.told, replayed.played.events
    assert told["rows"] == len(asked.day) == 36 * 80
    assert set(told["statuses"]) == {"200", "202"}
    assert replayed.played.meanwhile > 0

    turned = date(2013, 1, 1).toordinal() + TURNS
    assert all(date.fromisoformat(event.day).toordinal() > turned for event in events)
    assert "retrain" in replayed.happened()
    promoted = next(event for event in events if event.kind == "promoted")
    assert "log_loss against the champion -" in promoted.why

    before = asked.day <= np.datetime64(promoted.day)
    assert (asked.managed[before] == asked.frozen[before]).all()
    managed, frozen = (
        np.mean((answers[~before] - asked.outcome[~before]) ** 2) for answers in (asked.managed, asked.frozen)
    )
    assert managed < frozen

    assert [month["month"] for month in told["months"]] == ["2013-01", "2013-02", "2013-03"]
    value, low, high = told["months"][1]["gained"]["log_loss"]
    assert max(low, 0) < value < high
    assert "gained, 95 %" in replayed.printed.getvalue()
    assert (replayed.played.folder / "replay.png").read_bytes().startswith(b"\x89PNG")


def test_labels_arrive_when_they_are_known_and_not_before(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "colour": "red", "shape": "round", "size": 5.0, "legs": 1, "later": 0.0, "good": True,
            "when": pd.to_datetime(["2013-01-01 06:00", "2013-01-01 23:00", "2013-01-02 01:00", "2013-01-02 06:00"]),
        }
    )  # fmt: skip
    config = config_in(tmp_path, frame, "timing={time: when, known: known, known_at: 3, ahead: 2}",
                       "columns.known={kind: datetime, known: after, meaning: When it was known}")  # fmt: skip
    columns = {name: frame[name].to_numpy() for name in ("colour", "size", "legs", "good")}
    columns["colour"] = columns["colour"].astype(object)
    columns["when"] = frame["when"].to_numpy("datetime64[s]")
    columns["known"] = np.array(["2013-01-01T08:00", "2013-01-02T05:00", "2013-01-02T02:59", "2013-01-02T08:00"], "datetime64[s]")  # fmt: skip
    days = Schedule(columns, config, date(2013, 1, 1), date(2013, 1, 4))
    assert days.day.astype(str).tolist() == ["2013-01-01"] * 3 + [
        "2013-01-02"
    ]  # one is asked before five in the morning
    told = []
    for day in (np.datetime64("2013-01-01"), np.datetime64("2013-01-02"), np.datetime64("2013-01-03")):
        told.append([each["row"] for each in days.labels_known_on(day)])
        for part, rows in days.rows_of(day):
            days.request += [(str(day), place) for place in range(part.start, part.start + len(rows))]
            assert all("good" not in row and "later" not in row for row in rows)
    assert told == [[], [0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("until", "after"),
    [("december", "2014-01-01"), ("dec", "2014-01-01"), ("June", "2013-07-01"), ("2013-05-09", "2013-05-10"), ("march", "2014-04-01")],
)  # fmt: skip
def test_until_is_a_month_that_comes_next_or_a_day(until: str, after: str) -> None:
    assert end_of_span(until, pd.Timestamp("2013-04-01")) == pd.Timestamp(after)


def test_until_anything_else_is_answered_with_what_would_be_right(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="UNTIL=soon: should be a month such as december, or a day such as 2013-12-31"
    ):
        end_of_span("soon", pd.Timestamp("2013-04-01"))
    config = config_in(tmp_path, made())
    with pytest.raises(ConfigError, match="replay: nothing lies between 2013-01-25, where it begins, and 2013-01-03"):
        replay.run(config, "2013-01-02", Console(quiet=True))


def test_a_mistake_leaves_the_replay_before_it_as_it_was(tmp_path: Path) -> None:
    config = config_in(tmp_path, made())
    before = Path(config.paths.reports) / "tiny.replay" / "replay.json"
    before.parent.mkdir(parents=True)
    before.write_text("{}")
    with pytest.raises(ConfigError, match="UNTIL=soon"):
        replay.run(config, "soon", Console(quiet=True))
    assert [path.name for path in before.parent.iterdir() if path.name != replay.ALONE] == ["replay.json"]


def test_a_second_replay_of_the_same_says_that_one_is_at_work(tmp_path: Path) -> None:
    config = config_in(tmp_path, made())
    folder = Path(config.paths.reports) / "tiny.replay"
    folder.mkdir(parents=True)
    with replay.only_replay_in(folder), pytest.raises(ConfigError, match="another replay is running there"):
        replay.run(config, None, Console(quiet=True))
    with pytest.raises(ConfigError, match="UNTIL=soon"):  # and none is any longer
        replay.run(config, "soon", Console(quiet=True))


def test_without_a_time_there_are_no_days_and_that_is_said(toy: Toy) -> None:
    config = toy.config("split={by: row, holdout: 0.25}")
    with pytest.raises(ConfigError, match=r"tiny has no time column \(split.by is row\): there are no days to replay"):
        replay.run(config, None, Console(quiet=True))
    with pytest.raises(ConfigError, match=r"replay: needs `retrain:`"):
        replay.run(toy.config(), None, Console(quiet=True))


def test_a_server_that_does_not_start_is_told_with_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"did not start: see .*server.log"):
        ServerProcess(tmp_path / "nothing", tmp_path / "server.log")


STARTS = """
import sys
from pathlib import Path
from typing import Any
from pipeline.replay.server_process import ServerProcess
server = ServerProcess(Path(sys.argv[1]), Path(sys.argv[2]))
print(server.address, flush=True)
sys.stdin.read()
"""


def test_a_server_ends_with_whoever_started_it_however_that_one_ends(parcels: Parcels, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS, str(parcels.store), str(tmp_path / "server.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        host, port = started.stdout.readline().split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            started.kill()
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""  # the other way in which one hears of a process that is gone
    with pytest.raises(ConnectionRefusedError):
        while True:  # it closes its connections first, and then its port
            with suppress(ConnectionResetError), socket.create_connection((host, int(port)), timeout=20) as late:
                late.recv(1)
