"""A replay is an experiment: whoever repeats it finds the same."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.replayed import Replayed


@pytest.mark.usefixtures("blank_pictures")
def test_a_replay_is_the_same_twice(tmp_path: Path) -> None:
    """The same answers to the bit, the same events, the same champions, however busy the machine is."""
    one, other = Replayed(tmp_path / "one"), Replayed(tmp_path / "other")
    assert "promoted" in one.happened()
    assert one.played.events == other.played.events
    np.testing.assert_array_equal(one.played.rows.managed, other.played.rows.managed)
    np.testing.assert_array_equal(one.played.rows.frozen, other.played.rows.frozen)
