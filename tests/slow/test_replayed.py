"""Months of data through running servers: what the loop is worth, the same each time."""

import json
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_monitor import config_in, made

from pipeline import replay, replay_report

pytestmark = pytest.mark.usefixtures("blank_pictures")

TURNS = 36  # the day from which on there are more of the good ones


class Replayed:
    """A replay of a world that turns round, what it printed and what it wrote."""

    def __init__(self, folder: Path) -> None:
        config = config_in(folder, made(TURNS))
        self.printed = StringIO()
        out = Console(file=self.printed, width=80)
        self.played = replay.run(config, None, out)
        replay_report.publish(config, self.played, out)
        self.told: dict[str, Any] = json.loads((self.played.folder / "replay.json").read_text())

    def happened(self) -> list[str]:
        return [event.what for event in self.played.events]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return Replayed(tmp_path_factory.mktemp("replayed"))


def test_the_alarm_rings_after_the_world_has_turned_and_a_better_model_takes_over(replayed: Replayed) -> None:
    turned = date(2013, 1, 1).toordinal() + TURNS
    promoted = [event for event in replayed.played.events if event.what == "promoted"]
    assert promoted
    assert "retrain" in replayed.happened()
    for event in replayed.played.events:
        assert date.fromisoformat(event.day).toordinal() > turned
    assert "log_loss against the champion -" in promoted[0].why


def test_both_answer_the_same_until_then_and_the_managed_one_is_better_after(replayed: Replayed) -> None:
    asked = replayed.played.asked
    first = next(event.day for event in replayed.played.events if event.what == "promoted")
    before = asked.day <= np.datetime64(first)
    assert (asked.managed[before] == asked.frozen[before]).all()
    assert (asked.managed[~before] != asked.frozen[~before]).any()
    loss = {
        name: np.mean((getattr(asked, name)[~before] - asked.outcome[~before]) ** 2) for name in ("managed", "frozen")
    }
    assert loss["managed"] < loss["frozen"]


def test_every_row_is_asked_once_and_every_request_is_answered(replayed: Replayed) -> None:
    assert replayed.told["rows"] == len(replayed.played.asked.day) == 36 * 80
    assert np.isfinite(replayed.played.asked.managed).all()
    assert set(replayed.told["statuses"]) == {"200", "202"}
    assert replayed.played.meanwhile > 0


def test_it_ends_with_months_events_and_a_picture(replayed: Replayed) -> None:
    printed = replayed.printed.getvalue()
    assert [month["month"] for month in replayed.told["months"]] == ["2013-01", "2013-02", "2013-03"]
    assert "gained, 95 %" in printed
    assert "promoted" in printed
    assert (replayed.played.folder / "replay.png").read_bytes().startswith(b"\x89PNG")
    value, low, high = replayed.told["months"][1]["gained"]["log_loss"]
    assert low < value < high
    assert value > 0


def test_a_replay_is_the_same_twice(replayed: Replayed, tmp_path: Path) -> None:
    """The same answers to the bit, the same events, the same champions, however busy the machine is."""
    again = Replayed(tmp_path)
    assert "promoted" in replayed.happened()
    assert replayed.played.events == again.played.events
    np.testing.assert_array_equal(replayed.played.asked.managed, again.played.asked.managed)
    np.testing.assert_array_equal(replayed.played.asked.frozen, again.played.asked.frozen)
