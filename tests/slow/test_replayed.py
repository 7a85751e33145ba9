"""A replay is an experiment: whoever repeats it finds the same."""

from pathlib import Path

import numpy as np
from test_replay import Replayed


def test_a_replay_is_the_same_twice(tmp_path: Path) -> None:
    """The same answers to the bit, the same events, the same champions, however busy the machine is."""
    one, other = (Replayed(make(tmp_path / name)) for name in ("one", "other"))
    assert "promoted" in one.happened()
    assert one.played.events == other.played.events
    np.testing.assert_array_equal(one.played.asked.managed, other.played.asked.managed)
    np.testing.assert_array_equal(one.played.asked.frozen, other.played.asked.frozen)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder
