"""Rows for a training, with their rolling features, by any kind of split."""

from pathlib import Path

import numpy as np

from pipeline.config.config import load
from pipeline.data.read import read
from tests.support.parcels import CONFIG, settings


def test_rolling_features_do_not_depend_on_the_kind_of_split(tmp_path: Path) -> None:
    """Hashes of rows have no day; the counts end on the day after the newest row all the same."""
    overrides = settings(tmp_path)
    by_time = read(load(CONFIG, overrides), tmp_path)
    by_row = read(load(CONFIG, [*overrides, "split={by: row, holdout: 0.2, folds: 2}"]), tmp_path)

    assert by_time.rolling_state is not None
    assert by_row.rolling_state is not None
    assert by_row.rolling_state.as_of == by_time.rolling_state.as_of
    assert by_row.rolling_state.counts == by_time.rolling_state.counts

    busy = "late_7d_route"  # other priors move it a little, as other rows are in the first fold
    np.testing.assert_allclose(by_row.examples.request[busy], by_time.examples.request[busy], atol=0.05)
