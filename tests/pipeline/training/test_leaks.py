"""How well one feature predicts the outcome by itself, on rows that it was not fitted on."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.runtime.arrays import Tensors
from pipeline.training.leaks import mean_outcomes, single_feature_scores

ROWS = 2000


def scores(config: Config, colour: np.ndarray, size: np.ndarray, target: np.ndarray) -> dict[str, float]:
    shape = np.full(ROWS, "round", dtype=object)
    numbers = np.column_stack([size, np.full(ROWS, 4), np.full(ROWS, 17)]).astype(np.float32)
    data = Tensors(np.column_stack([colour.astype(object), shape]), numbers)
    return single_feature_scores(config.contract, data, target, seed=0)


@pytest.fixture
def target() -> np.ndarray:
    return np.random.default_rng(0).random(ROWS) < 0.3


@pytest.mark.parametrize("values", [ROWS, 1000, 200])
def test_random_text_with_many_values_is_no_copy_of_the_outcome(
    tiny_config: Config, target: np.ndarray, values: int
) -> None:
    """In-sample means would give 1.0 for a name that occurs once."""
    names = np.array([f"name {number}" for number in np.random.default_rng(1).permutation(ROWS) % values])
    assert scores(tiny_config, names, np.zeros(ROWS), target)["colour"] < 0.56


def test_a_category_that_is_the_outcome_is_found(tiny_config: Config, target: np.ndarray) -> None:
    assert scores(tiny_config, np.where(target, "yes", "no"), np.zeros(ROWS), target)["colour"] == 1.0


def test_a_number_counts_by_its_size_or_by_whether_it_is_missing(tiny_config: Config, target: np.ndarray) -> None:
    colour = np.full(ROWS, "red")
    assert scores(tiny_config, colour, -target.astype(float), target)["size"] == 1.0
    assert scores(tiny_config, colour, np.where(target, np.nan, 5.0), target)["size"] == 1.0


def test_a_regression_is_scored_by_rank_correlation(tiny_config: Config) -> None:
    outcome = np.random.default_rng(0).random(ROWS)
    found = scores(tiny_config, np.where(outcome > 0.5, "high", "low"), outcome**3, outcome)
    assert found["size"] == pytest.approx(1)
    assert 0.7 < found["colour"] < 0.9


def test_the_mean_of_a_value_leaves_out_the_part_of_the_row() -> None:
    """A value of one part only gets the mean of all rows."""
    values = np.array(["a", "a", "a", "b"], dtype=object)
    means = mean_outcomes(values, np.array([1.0, 0.0, 0.0, 1.0]), np.array([0, 1, 2, 0]))
    assert means.tolist() == [0.0, 0.5, 0.5, 0.5]
